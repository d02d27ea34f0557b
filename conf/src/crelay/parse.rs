//! From text to the tree.
//!
//! The grammar is read without recursion and looks one word ahead. Every word that could have stood at the place
//! that was read furthest is remembered, so that a message names all of them.

mod cluster;
mod lexer;
mod listen;
mod reader;
mod rules;

use super::error::Fault;
use super::include::Source;
use super::syntax::{At, Statement, Tree};
pub(super) use lexer::is_bare;
use nom::Parser;
use nom::branch::alt;
use nom::multi::many0;
use nom::sequence::terminated;
use reader::{Parsed, Reader};

/// Reads one file; what it includes stays a statement.
///
/// # Errors
/// [`Fault`]: the first place that is not of the language, and what could stand there.
pub fn parse(source: &Source) -> Result<Tree, Fault> {
    let reader = Reader::new(&source.text);
    let statement = |input| statement(&reader, input);
    match terminated(many0(terminated(statement, |i| reader.symbol(';', i))), |i| reader.end(i))
        .parse(&source.text)
    {
        Ok((_, statements)) => Ok(Tree { statements }),
        Err(stop) => {
            let (at, message) = reader.explain(stop);
            Err(Fault::new(source, at, message))
        }
    }
}

fn statement<'t>(r: &Reader, input: &'t str) -> Parsed<'t, At<Statement>> {
    let at = r.begin(input);
    let (input, value) = alt((
        |i| cluster::cluster(r, i),
        |i| rules::matching(r, i),
        |i| rules::rewrite(r, i),
        |i| rules::aggregate(r, i),
        |i| listen::statistics(r, i),
        |i| listen::send_statistics(r, i),
        |i| listen::listen(r, i),
        |i| include(r, i),
    ))
    .parse(input)?;
    Ok((input, At::new(at, value)))
}

fn include<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("include", input)?;
    let (input, path) = r.word("a path", input)?;
    Ok((input, Statement::Include(path)))
}

#[cfg(test)]
mod tests;
