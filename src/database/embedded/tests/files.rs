use std::fs;
use std::path::Path;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;

use super::{Engine, client, count, create_table, put};

fn refusal(path: &Path) -> String {
    let message = Engine::open(path).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message.split_once(": ").unwrap().1.replace(&path.parent().unwrap().display().to_string(), "…")
}

#[tokio::test]
async fn items_outlive_the_engine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my tables.db");
    for round in 1..=3 {
        let client = client(&Engine::open(&path).unwrap());
        if round == 1 {
            create_table(&client, "table").await;
        }
        put(&client, &round.to_string()).await;
        assert_eq!(count(&client).await, round);
    }
}

#[tokio::test]
async fn two_engines_on_one_file_see_each_others_items() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let (one, other) = (Engine::open(&path).unwrap(), Engine::open(&path).unwrap());
    let (one, other) = (client(&one), client(&other));
    create_table(&one, "table").await;
    let writes = (0..20).map(|key| {
        let client = if key % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { put(&client, &key.to_string()).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!((count(&one).await, count(&other).await), (20, 20));
}

#[tokio::test]
async fn engine_keeps_believing_in_a_table_that_another_engine_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let one = client(&Engine::open(&path).unwrap());
    let other = client(&Engine::open(&path).unwrap());
    create_table(&one, "table").await;
    put(&other, "a").await;
    one.delete_table().table_name("table").send().await.unwrap();
    let error = other.scan().table_name("table").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InternalServerError"));
    assert_eq!(error.message(), Some("backend: no such table: table"));
    create_table(&one, "table").await;
    assert_eq!(count(&other).await, 0);
}

#[test]
fn missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no/db");
    assert_eq!(refusal(&path), "the directory … does not exist");
}

#[test]
fn directory_is_not_a_file() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(refusal(directory.path()), "it is a directory, not a file");
}

#[test]
fn file_is_not_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    assert_eq!(refusal(&directory.path().join("file/db")), "… is not a directory");
}

#[test]
fn foreign_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "these are my notes, not a database").unwrap();
    assert_eq!(refusal(&path), "the file is not a SQLite database (or it is encrypted)");
    assert_eq!(fs::read(&path).unwrap(), b"these are my notes, not a database");
}

#[test]
fn damaged_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    fs::write(&path, format!("SQLite format 3\0{}", "x".repeat(5000))).unwrap();
    let message = refusal(&path);
    assert!(message.starts_with("the file is not a SQLite database"), "{message}");
}

#[test]
fn empty_path_is_refused() {
    let message = Engine::open(Path::new("")).unwrap_err().to_string();
    assert!(message.starts_with("cannot open the embedded database : "), "{message}");
}

#[cfg(unix)]
#[test]
fn read_only_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    drop(Engine::open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(refusal(&path), "…/db is read-only");
}

#[cfg(target_os = "linux")]
#[test]
fn place_that_takes_no_files_is_refused() {
    let message = refusal(Path::new("/proc/db"));
    assert!(message.contains("cannot be created") || message.contains("read-only"), "{message}");
}

#[cfg(unix)]
#[test]
fn path_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    let message = Engine::open(&path).unwrap_err().to_string();
    assert!(message.ends_with("the path is not valid UTF-8"), "{message}");
}
