use memory_table::Database;

#[derive(Clone)]
struct Team;

fn run(database: Database) {
    database.table::<Team>();
}

fn main() {}
