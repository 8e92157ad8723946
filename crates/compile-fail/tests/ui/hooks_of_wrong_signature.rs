use memory_table::Record;
use serde::{Deserialize, Serialize};

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "words", before_store = "check", after_load = "Self::fix")]
struct Word {
    #[record(partition_key)]
    id: String,
}

fn check(word: &Word) -> bool {
    word.id.is_empty()
}

impl Word {
    fn fix(&mut self) {
        self.id.clear();
    }
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "words", before_store = "Self::chek")]
struct Other {
    #[record(partition_key)]
    id: String,
}

fn main() {}
