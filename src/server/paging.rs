//! Query parameters and Octopus's envelope around a part of a list.

use std::fmt::Display;

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Shared, json::wanted, problem::Problem, spaces::here};
use crate::store::Page;

/// How many items a page has unless the client says otherwise.
const PAGE_SIZE: u64 = 30;

/// The query of a request, parameter names in lower case.
pub(super) struct Params {
    path: String,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<Shared> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::invalid(format!("the query cannot be read: {rejection}")))?;
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        Ok(Self { path: parts.uri.path().to_owned(), pairs })
    }
}

impl Params {
    /// The value of a parameter that has something in it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        let found = self.pairs.iter().find(|(other, value)| *other == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim())
    }

    /// A list: one parameter with commas, or the parameter several times.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        let name = name.to_lowercase();
        let values: Vec<&str> =
            self.pairs.iter().filter(|(other, _)| *other == name).map(|(_, v)| v.as_str()).collect();
        let items =
            values.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty());
        let items: Vec<&str> = items.collect();
        (!items.is_empty()).then_some(items)
    }

    /// Whether a filter lets this value through: it lists it, or was not sent.
    pub(super) fn lets(&self, filter: &str, value: &str) -> bool {
        self.list(filter).is_none_or(|list| list.iter().any(|item| item.eq_ignore_ascii_case(value)))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.get(name)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| Problem::invalid(format!("`{name}` must be a whole number, not `{value}`")))
            })
            .transpose()
    }

    /// The part of the list that is asked for.
    pub(super) fn page(&self) -> Result<Page, Problem> {
        Ok(Page { skip: self.number("skip")?.unwrap_or(0), take: self.number("take")?.unwrap_or(PAGE_SIZE) })
    }

    /// Cuts the page out of a whole list and wraps it.
    pub(super) fn envelope(&self, kind: &str, items: Vec<Value>) -> Result<Value, Problem> {
        let page = self.page()?;
        let total = items.len() as u64;
        let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let items: Vec<Value> = items.into_iter().skip(size(page.skip)).take(size(page.take)).collect();
        Ok(self.wrap(kind, page, total, &items))
    }

    /// The page of those that are asked for by id and name, each with its document.
    pub(super) fn page_of<'r, R, I: Display>(
        &self,
        kind: &str,
        rows: &'r [R],
        named: impl Fn(&'r R) -> (I, &'r str),
        document: impl FnMut(&'r R) -> Value,
    ) -> Result<Json<Value>, Problem> {
        let is_wanted = |row: &&'r R| {
            let (id, name) = named(row);
            wanted(self, &id.to_string(), name)
        };
        self.envelope(kind, rows.iter().filter(is_wanted).map(document).collect()).map(Json)
    }

    /// Wraps a page that was cut already.
    pub(super) fn wrap(&self, kind: &str, page: Page, total: u64, items: &[Value]) -> Value {
        let Page { skip, take } = page;
        let pages = total.div_ceil(take.max(1)).max(1);
        let last = (pages - 1).saturating_mul(take);
        let mut links = json!({
            "Self": self.link(skip, take),
            "Template": format!("{}{{?skip,take}}", self.base()),
            "Page.All": self.link(0, i32::MAX.unsigned_abs().into()),
            "Page.Current": self.link(skip, take),
            "Page.Last": self.link(last, take),
        });
        let next = skip.saturating_add(take);
        if next < total && take > 0 {
            links["Page.Next"] = self.link(next, take).into();
        }
        json!({
            "ItemType": kind, "TotalResults": total, "ItemsPerPage": take, "NumberOfPages": pages,
            "LastPageNumber": pages - 1, "Items": items, "Links": links,
        })
    }

    fn base(&self) -> String {
        let rest = self.path.strip_prefix("/api").unwrap_or(&self.path);
        format!("/api/{}{rest}", here())
    }

    fn link(&self, skip: u64, take: u64) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let kept = self.pairs.iter().filter(|(name, _)| name != "skip" && name != "take");
        let mut link = format!("{}?skip={skip}&take={take}", self.base());
        for (name, value) in kept {
            link.push('&');
            link.push_str(&encode(name));
            link.push('=');
            link.push_str(&encode(value));
        }
        link
    }
}
