//! Every operation of DynamoDB, and the call that runs it.

use super::dispatch::{Call, Outcome};

/// Runs one operation.
pub(super) type Handler = fn(&Call<'_>) -> Outcome;

/// A handler that is one method of the database.
macro_rules! by {
    ($method:ident) => {
        Some(|call| call.answer(|database, request| database.$method(request)))
    };
}

/// The operations of `aws_sdk_dynamodb`, then those of `aws_sdk_dynamodbstreams`, each by name.
/// Those without a handler are unknown to the embedded database.
pub(super) const OPERATIONS: &[(&str, Option<Handler>)] = &[
    ("BatchExecuteStatement", by!(batch_execute_statement)),
    ("BatchGetItem", by!(batch_get_item)),
    ("BatchWriteItem", by!(batch_write_item)),
    ("CreateBackup", None),
    ("CreateGlobalTable", None),
    ("CreateTable", by!(create_table)),
    ("DeleteBackup", None),
    ("DeleteItem", by!(delete_item)),
    ("DeleteResourcePolicy", None),
    ("DeleteTable", by!(delete_table)),
    ("DescribeBackup", None),
    ("DescribeContinuousBackups", None),
    ("DescribeContributorInsights", None),
    ("DescribeEndpoints", None),
    ("DescribeExport", None),
    ("DescribeGlobalTable", None),
    ("DescribeGlobalTableSettings", None),
    ("DescribeImport", None),
    ("DescribeKinesisStreamingDestination", None),
    ("DescribeLimits", None),
    ("DescribeTable", by!(describe_table)),
    ("DescribeTableReplicaAutoScaling", None),
    ("DescribeTimeToLive", by!(describe_time_to_live)),
    ("DisableKinesisStreamingDestination", None),
    ("EnableKinesisStreamingDestination", None),
    ("ExecuteStatement", by!(execute_statement)),
    ("ExecuteTransaction", by!(execute_transaction)),
    ("ExportTableToPointInTime", None),
    ("GetItem", by!(get_item)),
    ("GetResourcePolicy", None),
    ("ImportTable", None),
    ("ListBackups", None),
    ("ListContributorInsights", None),
    ("ListExports", None),
    ("ListGlobalTables", None),
    ("ListImports", None),
    ("ListTables", by!(list_tables)),
    ("ListTagsOfResource", by!(list_tags_of_resource)),
    ("PutItem", by!(put_item)),
    ("PutResourcePolicy", None),
    ("Query", by!(query)),
    ("RestoreTableFromBackup", None),
    ("RestoreTableToPointInTime", None),
    ("Scan", by!(scan)),
    ("SearchVectors", by!(search_vectors)),
    ("TagResource", by!(tag_resource)),
    ("TransactGetItems", by!(transact_get_items)),
    ("TransactWriteItems", by!(transact_write_items)),
    ("UntagResource", by!(untag_resource)),
    ("UpdateContinuousBackups", None),
    ("UpdateContributorInsights", None),
    ("UpdateGlobalTable", None),
    ("UpdateGlobalTableSettings", None),
    ("UpdateItem", by!(update_item)),
    ("UpdateKinesisStreamingDestination", None),
    ("UpdateTable", by!(update_table)),
    ("UpdateTableReplicaAutoScaling", None),
    ("UpdateTimeToLive", by!(update_time_to_live)),
    ("DescribeStream", by!(describe_stream)),
    ("GetRecords", by!(get_records)),
    ("GetShardIterator", by!(get_shard_iterator)),
    ("ListStreams", by!(list_streams)),
];

/// The handler of the operation with this name, if the embedded database has it.
pub(super) fn handler(operation: &str) -> Option<Handler> {
    OPERATIONS.iter().find(|(name, _)| *name == operation).and_then(|(_, handler)| *handler)
}
