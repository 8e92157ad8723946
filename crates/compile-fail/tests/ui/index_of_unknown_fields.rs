use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(
    table = "stores",
    global_index(name = "by-city", partition_key = ctiy),
    global_index(name = "by-company", partition_key = companyId, sort_key = "store_id"),
    gsi(name = "by-town", hash_key = city),
    global_index(partition_key = city),
)]
#[serde(rename_all = "camelCase")]
struct Store {
    #[record(partition_key)]
    store_id: String,
    company_id: u64,
    city: String,
}

fn main() {}
