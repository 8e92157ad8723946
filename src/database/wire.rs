//! Bodies of requests that we write and of answers that we read, where the SDK would build a map of each item.
//!
//! The SDK does all else: it resolves the endpoint, signs, sends, and reads answers that are errors. Of the operation's
//! input it sees the tables, by which it may choose the endpoint; of its output nothing.

pub(super) mod answers;
pub(super) mod bodies;

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Input, Output};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

use crate::error::BoxError;
use crate::json::Malformed;
use crate::rt::Mutex;

/// The body of one request, and how its answer is read.
pub(super) struct Wire<A> {
    /// `None` where the SDK writes it.
    body: Option<Body>,
    reader: Reader<A>,
}

/// The body of a request.
#[derive(Clone)]
pub(super) struct Body {
    json: Bytes,
    /// The names of its tables.
    tables: Vec<Arc<str>>,
    /// The tables of the input, as it is sent: interceptors of the user's may have changed it.
    named: Named,
}

/// The tables of an operation's input.
pub(super) type Named = fn(&Input) -> Option<Vec<&str>>;

impl Body {
    pub(super) fn new(json: Vec<u8>, tables: Vec<Arc<str>>, named: Named) -> Self {
        Self { json: json.into(), tables, named }
    }

    fn is_of(&self, input: &Input) -> bool {
        let named = (self.named)(input).unwrap_or_default();
        let is_named = |table: &Arc<str>| named.contains(&&**table);
        named.len() == self.tables.len() && self.tables.iter().all(is_named)
    }
}

/// Reads an answer, and keeps it for who asked.
pub(super) struct Reader<A> {
    read: fn(&[u8]) -> Result<A, Malformed>,
    /// What the SDK returns in its place.
    output: fn() -> Output,
    answer: Answer<A>,
}

/// Where the answer is once it was read.
pub(super) type Answer<A> = Arc<Mutex<Option<A>>>;

impl<A> Wire<A> {
    /// `output`: what the SDK returns for the operation, of which nothing is used.
    pub(super) fn new(
        body: Option<Body>,
        read: fn(&[u8]) -> Result<A, Malformed>,
        output: fn() -> Output,
    ) -> (Self, Answer<A>) {
        let answer = Arc::new(Mutex::new(None));
        let reader = Reader { read, output, answer: Arc::clone(&answer) };
        (Self { body, reader }, answer)
    }
}

impl<A> Clone for Reader<A> {
    fn clone(&self) -> Self {
        Self { answer: Arc::clone(&self.answer), ..*self }
    }
}

impl<A> fmt::Debug for Wire<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl<A> fmt::Debug for Reader<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl<A: Send + 'static> Intercept for Wire<A> {
    fn name(&self) -> &'static str {
        "Wire"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = &self.body {
            let theirs = config.load::<SharedRequestSerializer>();
            let theirs = theirs.ok_or("the operation has no serializer")?.clone();
            let ours = Writer { theirs, body: body.clone() };
            config.interceptor_state().store_put(SharedRequestSerializer::new(ours));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Whatever else is answered is an error, or nothing of DynamoDB.
        if is_done(context.response()) {
            let ours = SharedResponseDeserializer::new(self.reader.clone());
            config.interceptor_state().store_put(ours);
        }
        Ok(())
    }
}

fn is_done(response: &HttpResponse) -> bool {
    response.status().as_u16() == 200
}

/// Writes a request with the SDK's headers and our body.
#[derive(Debug)]
struct Writer {
    theirs: SharedRequestSerializer,
    body: Body,
}

impl SerializeRequest for Writer {
    fn serialize_input(
        &self,
        input: Input,
        config: &mut ConfigBag,
    ) -> Result<HttpRequest, BoxError> {
        if !self.body.is_of(&input) {
            let text = "an interceptor of the SDK client changed the tables of a batch, which is made before";
            return Err(text.into());
        }
        let mut request = self.theirs.serialize_input(input, config)?;
        request.headers_mut().insert("content-length", self.body.json.len().to_string());
        *request.body_mut() = SdkBody::from(self.body.json.clone());
        Ok(request)
    }
}

impl<A: Send> DeserializeResponse for Reader<A> {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        if !is_done(response) {
            // An interceptor of the user's let the SDK try again after an answer that was no error.
            return Err(OrchestratorError::response("an error after another answer".into()));
        }
        let body = response.body().bytes().unwrap_or_default();
        let answer =
            (self.read)(body).map_err(|error| OrchestratorError::response(error.into()))?;
        *self.answer.lock() = Some(answer);
        Ok((self.output)())
    }
}
