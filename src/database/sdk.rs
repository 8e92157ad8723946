//! The seam on the SDK: one call is one HTTP attempt.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    self, AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, Select, TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::interceptors::context::Output;
use bytes::Bytes;

use super::contact::Contact;
use super::wire::answers::{self, Batch, Gotten, Paged};
use super::wire::{Answer, Body, Wire, bodies};
use crate::capacity::{Charged, ConsumedCapacity};
use crate::codec::{CodecError, EncodedItem, item_key, item_to_json, json_to_item};
use crate::condition::Rendered;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::store::{
    Answered, Class, Done, Failure, Form, Found, Outcome, Page, PageRequest, Reading, Returns,
    Single, Store, StoreFuture, TableRef, Wanted, Write, Written, short_name,
};

/// The database through an SDK client of our own, whose retries are off: the engines retry.
#[derive(Debug)]
pub(crate) struct SdkStore {
    pub(crate) client: Client,
    pub(crate) contact: Arc<Contact>,
}

type SdkItem = HashMap<String, AttributeValue>;

/// Something that we built cannot be sent; a mistake of ours or of a hand-written record.
fn unbuildable(source: impl Into<crate::error::BoxError>) -> Failure {
    let error =
        Error::new(ErrorKind::InvalidRecord, "the request could not be built").caused_by(source);
    Failure { class: Class::Refused, outcome: Outcome::NotWritten, error }
}

fn unreadable(source: CodecError) -> Failure {
    let error = Error::new(ErrorKind::InvalidItem, format!("an item could not be read: {source}"));
    Failure { class: Class::Refused, outcome: Outcome::NotWritten, error }
}

fn sdk_item(json: &[u8]) -> Result<SdkItem, Failure> {
    json_to_item(json).map_err(unbuildable)
}

/// The names of expressions by their placeholders. Empty maps are refused.
fn names(expressions: &Rendered) -> Option<HashMap<String, String>> {
    let names = expressions.names.iter().enumerate();
    let names: HashMap<_, _> =
        names.map(|(place, name)| (format!("#n{place}"), name.clone())).collect();
    (!names.is_empty()).then_some(names)
}

/// The values of expressions by their placeholders.
fn values(expressions: &Rendered) -> Result<Option<SdkItem>, Failure> {
    let values = match &*expressions.values {
        [] => SdkItem::new(),
        values => sdk_item(values)?,
    };
    Ok((!values.is_empty()).then_some(values))
}

fn key_of(table: &TableRef, item: &[u8]) -> Option<Key> {
    item_key(item, table.partition_key, table.sort_key)
}

/// The table that is meant by a name, which may be that of an ARN or the other way round.
fn named<'t>(tables: &'t [TableRef], name: &str) -> Option<&'t TableRef> {
    let equal = tables.iter().find(|table| *table.name == *name);
    equal.or_else(|| tables.iter().find(|table| short_name(&table.name) == short_name(name)))
}

/// The places of returned keys in the batch that was sent, each with its table.
///
/// A key that cannot be matched would be an item lost without a word, so it fails the request.
fn places<'a>(
    sent: impl Iterator<Item = (&'a str, &'a Key)>,
    returned: impl Iterator<Item = (&'a str, Option<Key>)>,
) -> Result<Vec<usize>, Failure> {
    let mut returned = returned.peekable();
    if returned.peek().is_none() {
        return Ok(Vec::new());
    }
    let places: HashMap<(&str, &Key), usize> =
        sent.enumerate().map(|(index, key)| (key, index)).collect();
    returned
        .map(|(table, key)| places.get(&(table, &key?)).copied())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let text = "the service returned an unprocessed item that was not sent";
            let error = Error::new(ErrorKind::Service, text);
            Failure { class: Class::Transient, outcome: Outcome::OutcomeUnknown, error }
        })
}

/// What the answer to a write is to bring, if anything.
const fn return_value(returns: Returns) -> Option<ReturnValue> {
    match returns {
        Returns::Nothing => None,
        Returns::New => Some(ReturnValue::AllNew),
    }
}

/// The item that the answer to a write brought.
fn returned(attributes: Option<&SdkItem>) -> Result<Option<Vec<u8>>, Failure> {
    let item = attributes.filter(|item| !item.is_empty()).map(item_to_json);
    // It is written all the same.
    item.transpose().map_err(|why| Failure { outcome: Outcome::OutcomeUnknown, ..unreadable(why) })
}

/// What the service says that it charges.
fn charged<'c>(consumed: impl IntoIterator<Item = &'c types::ConsumedCapacity>) -> Charged {
    let units = |consumed: &types::ConsumedCapacity| {
        let local = consumed.local_secondary_indexes().into_iter().flatten();
        let global = consumed.global_secondary_indexes().into_iter().flatten();
        let indexes = local
            .clone()
            .chain(global)
            .map(|(name, charged)| (name.clone(), charged.capacity_units().unwrap_or_default()));
        let total = consumed.capacity_units().unwrap_or_default();
        let local = local.map(|(name, _)| name.clone()).collect();
        let units = ConsumedCapacity { total, indexes: indexes.collect(), local };
        (consumed.table_name().unwrap_or_default().to_owned(), units)
    };
    Charged(consumed.into_iter().map(units).collect())
}

/// What single writes of all forms say in the same words, and what their answers mean.
macro_rules! conditional {
    ($store:ident, $call:expr, $table:ident, $single:ident, $error:ident) => {{
        let Single { expressions, returns, .. } = $single;
        let call = $call
            .table_name(&*$table.name)
            .set_condition_expression(expressions.condition.clone())
            .set_expression_attribute_names(names(expressions))
            .set_expression_attribute_values(values(expressions)?)
            .set_return_values(return_value(*returns))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let answer = call.send().await;
        let theirs = match answer.as_ref().err().and_then(SdkError::as_service_error) {
            Some($error::ConditionalCheckFailedException(failed)) => {
                Some(failed.item().filter(|item| !item.is_empty()).map(item_to_json))
            }
            _ => None,
        };
        match ($store.contact.heard(answer), theirs) {
            (_, Some(theirs)) => {
                // What it costs is not said with the error.
                let value = Done::Conflict { theirs: theirs.transpose().map_err(unreadable)? };
                Ok(Answered { value, charged: Charged::default() })
            }
            (Ok(output), None) => {
                let value = Done::Written { item: returned(output.attributes())? };
                Ok(Answered { value, charged: charged(output.consumed_capacity()) })
            }
            (Err(failure), None) => Err(failure),
        }
    }};
}

impl Store for SdkStore {
    fn batch_write<'a>(
        &'a self,
        tables: &'a [TableRef],
        batch: &'a [Write],
    ) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let name = |write: &Write| tables.get(write.at.table).map_or("", |t| &*t.name);
            let body = bodies::batch_write(tables, batch);
            let (body, names) = body.ok_or_else(|| unbuildable("a batch has no single writes"))?;
            let mut call = self.client.batch_write_item();
            for name in &names {
                call = call.request_items(&**name, Vec::new());
            }
            let body = Body::new(body, names, |input| {
                let input = input.downcast_ref::<BatchWriteItemInput>()?;
                Some(input.request_items()?.keys().map(String::as_str).collect())
            });
            let batch_written = || Output::erase(BatchWriteItemOutput::builder().build());
            let (wire, answer) = Wire::new(Some(body), answers::batch_write, batch_written);
            let sent = call.customize().interceptor(wire).send().await;
            let Batch { unprocessed, charged } = self.answer(sent, answer)?;
            let returned = unprocessed.iter().flat_map(|(name, items)| {
                let table = named(tables, name);
                let key = move |item: &Bytes| key_of(table?, item);
                let name = table.map_or(&**name, |table| &*table.name);
                items.iter().map(move |item| (name, key(item)))
            });
            let sent = batch.iter().map(|write| (name(write), &write.at.key));
            let value = Written { unprocessed: places(sent, returned)? };
            Ok(Answered { value, charged })
        })
    }

    fn write_single<'a>(
        &'a self,
        table: &'a TableRef,
        single: &'a Single,
    ) -> StoreFuture<'a, Done> {
        Box::pin(async move {
            match &single.form {
                Form::Put(item) => {
                    let call = self.client.put_item().set_item(Some(sdk_item(&item.json)?));
                    conditional!(self, call, table, single, PutItemError)
                }
                Form::Update(key) => {
                    let call = self.client.update_item().set_key(Some(sdk_item(key)?));
                    let call = call.set_update_expression(single.expressions.update.clone());
                    conditional!(self, call, table, single, UpdateItemError)
                }
                Form::Delete(key) => {
                    let call = self.client.delete_item().set_key(Some(sdk_item(key)?));
                    conditional!(self, call, table, single, DeleteItemError)
                }
                Form::Add { key, token } => self.add(table, key, token, &single.expressions).await,
            }
        })
    }

    fn batch_get<'a>(
        &'a self,
        table: &'a TableRef,
        keys: &'a [Wanted],
        consistent: bool,
    ) -> StoreFuture<'a, Found> {
        Box::pin(async move {
            let body = bodies::batch_get(table, keys, consistent);
            let none = KeysAndAttributes::builder().set_keys(Some(Vec::new())).build();
            let none = none.map_err(unbuildable)?;
            let call = self.client.batch_get_item().request_items(&*table.name, none);
            let body = Body::new(body, vec![Arc::clone(&table.name)], |input| {
                let input = input.downcast_ref::<BatchGetItemInput>()?;
                Some(input.request_items()?.keys().map(String::as_str).collect())
            });
            let gotten = || Output::erase(BatchGetItemOutput::builder().build());
            let (wire, answer) = Wire::new(Some(body), answers::batch_get, gotten);
            let sent = call.customize().interceptor(wire).send().await;
            let Gotten { items, unprocessed, charged } = self.answer(sent, answer)?;
            let returned = unprocessed.iter().map(|key| (&*table.name, key_of(table, key)));
            let sent = keys.iter().map(|wanted| (&*table.name, &wanted.key));
            let value = Found { items, unprocessed: places(sent, returned)? };
            Ok(Answered { value, charged })
        })
    }

    fn get<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
        consistent: bool,
    ) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let call = self.client.get_item().table_name(&*table.name).consistent_read(consistent);
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Indexes);
            let output =
                self.contact.heard(call.set_key(Some(sdk_item(&key.json)?)).send().await)?;
            let value = output.item().map(item_to_json).transpose().map_err(unreadable)?;
            Ok(Answered { value, charged: charged(output.consumed_capacity()) })
        })
    }

    fn put<'a>(&'a self, table: &'a TableRef, item: &'a EncodedItem) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let call = self.client.put_item().table_name(&*table.name);
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Indexes);
            let call = call.set_item(Some(sdk_item(&item.json)?));
            let output = self.contact.heard(call.send().await)?;
            Ok(Answered { value: (), charged: charged(output.consumed_capacity()) })
        })
    }

    fn delete<'a>(
        &'a self,
        table: &'a TableRef,
        key: &'a Wanted,
    ) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let call = self.client.delete_item().table_name(&*table.name);
            let call = call.return_values(ReturnValue::AllOld).set_key(Some(sdk_item(&key.json)?));
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Indexes);
            let output = self.contact.heard(call.send().await)?;
            let value = output.attributes().map(item_to_json).transpose().map_err(unreadable)?;
            Ok(Answered { value, charged: charged(output.consumed_capacity()) })
        })
    }

    fn page<'a>(&'a self, table: &'a TableRef, page: &'a PageRequest) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            if page.reading.expressions.key_condition.is_some() {
                self.query_page(table, page).await
            } else {
                self.scan_page(table, page).await
            }
        })
    }
}

/// What queries and scans say in the same words.
macro_rules! reading {
    ($call:expr, $table:ident, $page:ident) => {{
        let Reading { expressions, index, consistent, count, .. } = &*$page.reading;
        $call
            .table_name(&*$table.name)
            .consistent_read(*consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .set_limit($page.limit.and_then(|limit| i32::try_from(limit).ok()))
            .set_exclusive_start_key($page.start.as_deref().map(sdk_item).transpose()?)
            .set_index_name(index.map(|index| index.name().to_owned()))
            .set_select(count.then_some(Select::Count))
            .set_filter_expression(expressions.filter.clone())
            .set_projection_expression(expressions.projection.clone())
            .set_expression_attribute_names(names(expressions))
            .set_expression_attribute_values(values(expressions)?)
    }};
}

/// The page of an answer.
fn page_of(answer: Paged) -> Answered<Page> {
    let Paged { items, count, scanned, next, charged } = answer;
    let next = next.map(|next| next.to_vec());
    Answered { value: Page { items, count, scanned, next }, charged }
}

impl SdkStore {
    /// What was answered to a request whose answer we read.
    fn answer<A, O, E>(
        &self,
        sent: Result<O, SdkError<E, HttpResponse>>,
        answer: Answer<A>,
    ) -> Result<A, Failure>
    where
        E: std::error::Error + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
    {
        self.contact.heard(sent)?;
        let answer = answer.lock().take();
        answer.ok_or_else(|| {
            let text = "the SDK client did not hand on the answer";
            let error = Error::new(ErrorKind::Configuration, text)
                .advise("look at the interceptors of the SDK client");
            Failure { class: Class::Transient, outcome: Outcome::OutcomeUnknown, error }
        })
    }

    /// An update in a transaction of its own, which has a token.
    async fn add(
        &self,
        table: &TableRef,
        key: &[u8],
        token: &str,
        expressions: &Rendered,
    ) -> Result<Answered<Done>, Failure> {
        let update = Update::builder()
            .table_name(&*table.name)
            .set_key(Some(sdk_item(key)?))
            .set_update_expression(expressions.update.clone())
            .set_expression_attribute_names(names(expressions))
            .set_expression_attribute_values(values(expressions)?)
            .build()
            .map_err(unbuildable)?;
        let call = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .client_request_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let output = self.contact.heard(call.send().await)?;
        let value = Done::Written { item: None };
        Ok(Answered { value, charged: charged(output.consumed_capacity()) })
    }

    async fn query_page(
        &self,
        table: &TableRef,
        page: &PageRequest,
    ) -> Result<Answered<Page>, Failure> {
        let call = reading!(self.client.query(), table, page)
            .set_key_condition_expression(page.reading.expressions.key_condition.clone())
            .scan_index_forward(!page.reading.descending);
        let queried = || Output::erase(QueryOutput::builder().build());
        let (wire, answer) = Wire::new(None, answers::page, queried);
        let sent = call.customize().interceptor(wire).send().await;
        Ok(page_of(self.answer(sent, answer)?))
    }

    async fn scan_page(
        &self,
        table: &TableRef,
        page: &PageRequest,
    ) -> Result<Answered<Page>, Failure> {
        let mut call = reading!(self.client.scan(), table, page);
        if page.segments > 1 {
            call = call
                .set_segment(i32::try_from(page.segment).ok())
                .set_total_segments(i32::try_from(page.segments).ok());
        }
        let scanned = || Output::erase(ScanOutput::builder().build());
        let (wire, answer) = Wire::new(None, answers::page, scanned);
        let sent = call.customize().interceptor(wire).send().await;
        Ok(page_of(self.answer(sent, answer)?))
    }
}
