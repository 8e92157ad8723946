//! What a read makes of the items: whole records, or parts of them.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{RawPages, Reader};
use crate::error::Error;
use crate::index::{AllAttributes, SomeAttributes};
use crate::link::Link;
use crate::load;
use crate::record::{Projection, Record};
use crate::table::Tracked;

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
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn pages(reader: Reader<T>) -> RawPages<Self::Item>
    where
        Self: Sized,
    {
        reader.stored_pages::<Self>()
    }
}

/// Whole records.
#[derive(Debug)]
pub enum Whole {}

/// Whole records with what is stored of them.
#[derive(Debug)]
pub enum Followed {}

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

impl<T: Record> Shape<T> for Followed {
    type Item = Tracked<T>;
    const ATTRIBUTES: &'static [&'static str] = &[];

    fn read(Origin(link): Origin<'_>, json: &[u8]) -> Result<Tracked<T>, Error> {
        load::read_item(link, json).map(|decoded| Tracked::loaded(decoded, json.to_vec()))
    }
}

/// Whole records as a memory table has them, unsaved changes included.
#[derive(Debug)]
pub enum Cached {}

impl<T: Record> Shape<T> for Cached {
    type Item = Arc<T>;
    const ATTRIBUTES: &'static [&'static str] = &[];

    fn read(Origin(link): Origin<'_>, json: &[u8]) -> Result<Arc<T>, Error> {
        load::read_item(link, json).map(|decoded| Arc::new(decoded.record))
    }

    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn pages(reader: Reader<T>) -> RawPages<Arc<T>> {
        match reader.overlay.clone() {
            Some(overlay) => overlay.pages(reader),
            None => reader.stored_pages::<Self>(),
        }
    }
}

/// A shape of which some attributes can be chosen.
#[diagnostic::on_unimplemented(
    message = "a query of a memory table returns whole records",
    label = "some attributes cannot be chosen here",
    note = "query the table beneath: `memory.table().query(..).select::<P>()`"
)]
pub trait Selectable {}

impl Selectable for Whole {}
impl Selectable for Unselected {}
impl<P> Selectable for Selected<P> {}

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
