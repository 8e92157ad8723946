//! What a read makes of the items: whole records, or parts of them.

use std::marker::PhantomData;

use crate::error::Error;
use crate::index::{AllAttributes, SomeAttributes};
use crate::link::Link;
use crate::load;
use crate::record::{Projection, Record};

/// Where an item was read, for the error that it does not fit.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "hidden; it is in a public signature only")]
pub struct Origin<'l>(pub(super) &'l Link);

/// What a query or scan returns of each item: [`Whole`] records or [`Selected`] attributes.
#[diagnostic::on_unimplemented(
    message = "this index does not have all attributes of the record",
    label = "what is to be read?",
    note = "choose attributes that the index has by `.select::<P>()`, where `P` derives `Projection`; or give the index all attributes"
)]
pub trait Shape<T: Record>: Send + 'static {
    /// What is returned of an item.
    type Item: Send + 'static;
    #[doc(hidden)]
    const ATTRIBUTES: &'static [&'static str];
    #[doc(hidden)]
    fn read(origin: Origin<'_>, json: &[u8]) -> Result<Self::Item, Error>;
}

/// Whole records.
#[derive(Debug)]
pub enum Whole {}

/// The attributes of a [`Projection`].
#[derive(Debug)]
pub struct Selected<P>(PhantomData<fn() -> P>);

/// Nothing yet: the index does not have all attributes, so some are to be chosen by `select`.
#[derive(Debug)]
pub enum Unselected {}

impl<T: Record> Shape<T> for Whole {
    type Item = T;
    const ATTRIBUTES: &'static [&'static str] = &[];

    fn read(Origin(link): Origin<'_>, json: &[u8]) -> Result<T, Error> {
        load::read_item(link, json).map(|decoded| decoded.record)
    }
}

impl<T: Record, P: Projection<Of = T>> Shape<T> for Selected<P> {
    type Item = P;
    const ATTRIBUTES: &'static [&'static str] = P::ATTRIBUTES;

    fn read(Origin(link): Origin<'_>, json: &[u8]) -> Result<P, Error> {
        load::read_part(link, json)
    }
}

/// What reads of an index return if nothing is selected.
pub trait IndexShape {
    /// [`Whole`] records if the index has all attributes.
    type Shape;
}

impl IndexShape for AllAttributes {
    type Shape = Whole;
}

impl IndexShape for SomeAttributes {
    type Shape = Unselected;
}
