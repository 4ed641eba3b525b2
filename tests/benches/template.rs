//! How long it takes to render every variable of a set, each referring to others several deep: the set is built from
//! its pairs, laid out, read and rendered in each round.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::ZonedDateTime;
use octarm::{
    model::Variable,
    template::{Rendered, Renderer, Variables},
};

/// Every tenth variable is plain; each other refers to the one before and to a plain one, so that chains are up to
/// nine deep. Every seventh has a condition, every eleventh a filter.
fn pairs(count: usize) -> Vec<(String, String)> {
    let name = |i: usize| format!("Project{}.Step[{}].Setting{}", i % 50, i % 7, i);
    (0..count)
        .map(|i| {
            let value = match i {
                _ if i % 10 == 0 => format!("value {i}"),
                _ if i % 7 == 0 => {
                    format!("#{{if {} == \"x\"}}x#{{else}}#{{{}}}/{i}#{{/if}}", name(i - i % 10), name(i - 1))
                }
                _ if i % 11 == 0 => format!("#{{{} | ToUpper}}/{i}", name(i - 1)),
                _ => format!("#{{{}}}/{i}/#{{{}}}", name(i - 1), name(i - i % 10)),
            };
            (name(i), value)
        })
        .collect()
}

/// The set comes back so that only its making is measured, not its end.
fn render_all(pairs: Vec<(String, String)>, now: &ZonedDateTime) -> (Variables, usize) {
    let variables: Variables = pairs.into_iter().map(|(name, value)| Variable::plain(name, value)).collect();
    let renderer = Renderer::new(&variables, now);
    let length = |(_, rendered): (&Variable, Rendered)| rendered.clean().ok().map(|text| text.len());
    let sum = renderer.values(|_| true).filter_map(length).sum();
    drop(renderer);
    (variables, sum)
}

/// Lets the allocator end what the last set's end began: small pieces that were freed are put together when somebody asks
/// for a large one, and that somebody would be the making of the next set.
fn settle() {
    drop(black_box(Vec::<u8>::with_capacity(64 * 1024)));
}

fn sets(criterion: &mut Criterion) {
    let now = ZonedDateTime::now();
    let mut group = criterion.benchmark_group("render every variable of a set");
    group.sample_size(10);
    for count in [1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(count as u64));
        let pairs = pairs(count);
        group.bench_with_input(BenchmarkId::from_parameter(count), &pairs, |bencher, pairs| {
            bencher.iter_batched(
                || {
                    settle();
                    pairs.clone()
                },
                |pairs| black_box(render_all(pairs, &now)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, sets);
criterion_main!(benches);
