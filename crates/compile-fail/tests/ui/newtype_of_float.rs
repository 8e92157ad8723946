use memory_table::KeyAttribute;
use serde::{Deserialize, Serialize};

#[derive(KeyAttribute, Serialize, Deserialize, Clone)]
struct Rating(f64);

fn main() {}
