//! Every operation of the SDK is sent once, and the table of operations says what happens.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    BatchStatementRequest, Delete, DeleteRequest, Get, InputFormat, KeysAndAttributes,
    ParameterizedStatement, PointInTimeRecoverySpecification, PutRequest, Replica, ReplicaUpdate,
    S3BucketSource, StreamSpecification, StreamViewType, TableCreationParameters, Tag,
    TimeToLiveSpecification, TransactGetItem, TransactWriteItem, WriteRequest,
};

use super::super::dispatch;
use super::super::operations::OPERATIONS;
use super::{Engine, client, create_table, key_attribute, key_schema, text};

const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/table";

/// The operation's name and the code of its error, `None` if it went well.
type Sent = Vec<(&'static str, Option<String>)>;

macro_rules! send {
    ($sent:ident, $($name:literal: $request:expr,)*) => {$(
        let request = $request;
        let outcome = Box::pin(request.send()).await;
        let code = outcome.err().map(|error| match error.code() {
            Some(code) => code.to_owned(),
            None => format!("{error:?}"),
        });
        $sent.push(($name, code));
    )*};
}

#[tokio::test]
async fn sdk_gets_what_the_table_of_operations_says() {
    let client = client(&Engine::memory().unwrap());
    create_table(&client, "table").await;
    let mut sent = Sent::new();
    Box::pin(tables(&client, &mut sent)).await;
    Box::pin(items(&client, &mut sent)).await;
    Box::pin(many_items(&client, &mut sent)).await;
    Box::pin(backups(&client, &mut sent)).await;
    Box::pin(global_tables(&client, &mut sent)).await;
    Box::pin(settings(&client, &mut sent)).await;

    for (name, code) in &sent {
        let (_, handler) = OPERATIONS.iter().find(|(known, _)| known == name).unwrap();
        let expected = match handler {
            // There is no vector index to search; that it is looked for is enough.
            Some(_) if *name == "SearchVectors" => Some("ValidationException"),
            Some(_) => None,
            None => Some("UnknownOperationException"),
        };
        assert_eq!(code.as_deref(), expected, "{name}");
    }
    let mut names: Vec<&str> = sent.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let known: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known[..58], "the operations of aws_sdk_dynamodb, by name");
}

#[tokio::test]
async fn unknown_operation_is_named() {
    let client = client(&Engine::memory().unwrap());
    let error = client.describe_limits().send().await.unwrap_err();
    assert_eq!(
        error.message(),
        Some("The embedded database does not have the operation DescribeLimits")
    );
}

#[test]
fn public_table_agrees_with_the_code() {
    let rows: Vec<String> = OPERATIONS
        .iter()
        .map(|(name, handler)| {
            format!("| {name} | {} |", if handler.is_some() { "yes" } else { "no" })
        })
        .collect();
    let table = include_str!("../operations.md");
    let written: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert_eq!(written, rows);
}

async fn tables(client: &Client, sent: &mut Sent) {
    let spec = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true);
    let stream = StreamSpecification::builder().stream_enabled(true);
    let stream = stream.stream_view_type(StreamViewType::NewAndOldImages).build().unwrap();
    let second = client.create_table().table_name("second").attribute_definitions(key_attribute());
    send! { sent,
        "CreateTable": second.key_schema(key_schema()).billing_mode("PAY_PER_REQUEST".into()),
        "DescribeTable": client.describe_table().table_name("second"),
        "ListTables": client.list_tables(),
        "UpdateTable": client.update_table().table_name("second").stream_specification(stream),
        "UpdateTimeToLive": client.update_time_to_live().table_name("second")
            .time_to_live_specification(spec.build().unwrap()),
        "DescribeTimeToLive": client.describe_time_to_live().table_name("second"),
        "TagResource": client.tag_resource().resource_arn(ARN)
            .tags(Tag::builder().key("a").value("b").build().unwrap()),
        "ListTagsOfResource": client.list_tags_of_resource().resource_arn(ARN),
        "UntagResource": client.untag_resource().resource_arn(ARN).tag_keys("a"),
        "DeleteTable": client.delete_table().table_name("second"),
    }
}

async fn items(client: &Client, sent: &mut Sent) {
    send! { sent,
        "PutItem": client.put_item().table_name("table").item("k", text("a")),
        "UpdateItem": client.update_item().table_name("table").key("k", text("a"))
            .update_expression("SET v = :v").expression_attribute_values(":v", text("b")),
        "GetItem": client.get_item().table_name("table").key("k", text("a")),
        "Query": client.query().table_name("table").key_condition_expression("k = :k")
            .expression_attribute_values(":k", text("a")),
        "Scan": client.scan().table_name("table").segment(0).total_segments(2).limit(10),
        "SearchVectors": client.search_vectors().table_name("table").index_name("index").top_k(1)
            .search_vector(aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned())),
        "ExecuteStatement": client.execute_statement()
            .statement("SELECT * FROM \"table\" WHERE k = ?").parameters(text("a")),
        "DeleteItem": client.delete_item().table_name("table").key("k", text("a")),
    }
}

async fn many_items(client: &Client, sent: &mut Sent) {
    let put = PutRequest::builder().item("k", text("b")).build().unwrap();
    let delete = DeleteRequest::builder().key("k", text("c")).build().unwrap();
    let writes = vec![
        WriteRequest::builder().put_request(put).build(),
        WriteRequest::builder().delete_request(delete).build(),
    ];
    let keys = KeysAndAttributes::builder().keys([("k".to_owned(), text("b"))].into());
    let get = Get::builder().table_name("table").key("k", text("b")).build().unwrap();
    let get = TransactGetItem::builder().get(get).build();
    let delete = Delete::builder().table_name("table").key("k", text("b")).build().unwrap();
    let delete = TransactWriteItem::builder().delete(delete).build();
    let insert = "INSERT INTO \"table\" VALUE {'k': ?}";
    let one = BatchStatementRequest::builder().statement(insert).parameters(text("d"));
    let other = ParameterizedStatement::builder().statement(insert).parameters(text("e"));
    send! { sent,
        "BatchWriteItem": client.batch_write_item().request_items("table", writes),
        "BatchGetItem": client.batch_get_item().request_items("table", keys.build().unwrap()),
        "TransactGetItems": client.transact_get_items().transact_items(get),
        "TransactWriteItems": client.transact_write_items().transact_items(delete),
        "BatchExecuteStatement": client.batch_execute_statement().statements(one.build().unwrap()),
        "ExecuteTransaction": client.execute_transaction()
            .transact_statements(other.build().unwrap()),
    }
}

async fn backups(client: &Client, sent: &mut Sent) {
    let recovery = PointInTimeRecoverySpecification::builder();
    let recovery = recovery.point_in_time_recovery_enabled(true).build().unwrap();
    let bucket = S3BucketSource::builder().s3_bucket("bucket").build().unwrap();
    let table = TableCreationParameters::builder().table_name("new");
    let table = table.attribute_definitions(key_attribute()).key_schema(key_schema());
    send! { sent,
        "CreateBackup": client.create_backup().table_name("table").backup_name("backup"),
        "DeleteBackup": client.delete_backup().backup_arn(ARN),
        "DescribeBackup": client.describe_backup().backup_arn(ARN),
        "ListBackups": client.list_backups(),
        "RestoreTableFromBackup": client.restore_table_from_backup().backup_arn(ARN)
            .target_table_name("new"),
        "RestoreTableToPointInTime": client.restore_table_to_point_in_time()
            .source_table_name("table").target_table_name("new"),
        "DescribeContinuousBackups": client.describe_continuous_backups().table_name("table"),
        "UpdateContinuousBackups": client.update_continuous_backups().table_name("table")
            .point_in_time_recovery_specification(recovery),
        "ExportTableToPointInTime": client.export_table_to_point_in_time().table_arn(ARN)
            .s3_bucket("bucket"),
        "DescribeExport": client.describe_export().export_arn(ARN),
        "ListExports": client.list_exports(),
        "ImportTable": client.import_table().s3_bucket_source(bucket)
            .input_format(InputFormat::Csv).table_creation_parameters(table.build().unwrap()),
        "DescribeImport": client.describe_import().import_arn(ARN),
        "ListImports": client.list_imports(),
    }
}

async fn global_tables(client: &Client, sent: &mut Sent) {
    let replica = Replica::builder().region_name("us-east-1").build();
    send! { sent,
        "CreateGlobalTable": client.create_global_table().global_table_name("table")
            .replication_group(replica),
        "DescribeGlobalTable": client.describe_global_table().global_table_name("table"),
        "DescribeGlobalTableSettings": client.describe_global_table_settings()
            .global_table_name("table"),
        "ListGlobalTables": client.list_global_tables(),
        "UpdateGlobalTable": client.update_global_table().global_table_name("table")
            .replica_updates(ReplicaUpdate::builder().build()),
        "UpdateGlobalTableSettings": client.update_global_table_settings()
            .global_table_name("table"),
        "DescribeTableReplicaAutoScaling": client.describe_table_replica_auto_scaling()
            .table_name("table"),
        "UpdateTableReplicaAutoScaling": client.update_table_replica_auto_scaling()
            .table_name("table"),
    }
}

async fn settings(client: &Client, sent: &mut Sent) {
    send! { sent,
        "DescribeContributorInsights": client.describe_contributor_insights().table_name("table"),
        "ListContributorInsights": client.list_contributor_insights(),
        "UpdateContributorInsights": client.update_contributor_insights().table_name("table")
            .contributor_insights_action("ENABLE".into()),
        "DescribeEndpoints": client.describe_endpoints(),
        "DescribeLimits": client.describe_limits(),
        "DescribeKinesisStreamingDestination": client.describe_kinesis_streaming_destination()
            .table_name("table"),
        "EnableKinesisStreamingDestination": client.enable_kinesis_streaming_destination()
            .table_name("table").stream_arn(ARN),
        "DisableKinesisStreamingDestination": client.disable_kinesis_streaming_destination()
            .table_name("table").stream_arn(ARN),
        "UpdateKinesisStreamingDestination": client.update_kinesis_streaming_destination()
            .table_name("table").stream_arn(ARN),
        "GetResourcePolicy": client.get_resource_policy().resource_arn(ARN),
        "PutResourcePolicy": client.put_resource_policy().resource_arn(ARN).policy("{}"),
        "DeleteResourcePolicy": client.delete_resource_policy().resource_arn(ARN),
    }
}

/// The client of DynamoDB Streams is another crate; these are its requests.
#[tokio::test]
async fn stream_tells_of_a_put() {
    let engine = Engine::memory().unwrap();
    let client = client(&engine);
    create_table(&client, "table").await;
    let stream = StreamSpecification::builder().stream_enabled(true);
    let stream = stream.stream_view_type(StreamViewType::KeysOnly).build().unwrap();
    client.update_table().table_name("table").stream_specification(stream).send().await.unwrap();
    super::put(&client, "a").await;

    let ask = |operation: &str, body: serde_json::Value| -> serde_json::Value {
        let body = body.to_string();
        let reply = dispatch::answer(&engine.database, operation, body.as_bytes());
        assert_eq!(reply.status, 200, "{operation}");
        serde_json::from_slice(&reply.body).unwrap()
    };
    let streams = ask("ListStreams", serde_json::json!({"TableName": "table"}));
    let arn = &streams["Streams"][0]["StreamArn"];
    let stream = ask("DescribeStream", serde_json::json!({"StreamArn": arn}));
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let iterator = ask(
        "GetShardIterator",
        serde_json::json!({
            "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        }),
    );
    let iterator = &iterator["ShardIterator"];
    let records = ask("GetRecords", serde_json::json!({"ShardIterator": iterator}));
    assert_eq!(records["Records"][0]["dynamodb"]["Keys"]["k"]["S"], "a");
}
