//! Checking all entries of a package on several threads, each of which takes the largest that is left.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use fs_err::File;

use super::{
    excerpt,
    inflate::{Failure, Inflater},
    open::Stored,
};

/// No entry has failed.
const NOWHERE: usize = usize::MAX;

/// The work of checking and what it has come to.
pub(super) struct Verifier<'a> {
    file: &'a File,
    /// In the order of the file.
    entries: Vec<&'a Stored>,
    /// Entries that are read together, the most work first, so that the threads end together.
    batches: Vec<Range<usize>>,
    next: AtomicUsize,
    /// The first entry of the file that has failed, as a place in `entries`.
    failed: AtomicUsize,
    found: Mutex<Found<'a>>,
}

/// What the threads have found.
#[derive(Default)]
struct Found<'a> {
    /// Of the first entry of the file that has failed.
    failure: Option<(Failure, &'a Stored)>,
    /// Where the data of entries begins that are programs or scripts.
    programs: Vec<u64>,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(file: &'a File, entries: impl Iterator<Item = &'a Stored>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable_by_key(|entry| entry.data_start);
        let mut batches: Vec<Range<usize>> = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            match batches.last_mut() {
                Some(batch) if end(entry) - entries[batch.start].data_start <= excerpt::LENGTH as u64 => {
                    batch.end = place + 1;
                }
                _ => batches.push(place..place + 1),
            }
        }
        let work = |batch: &Range<usize>| entries[batch.clone()].iter().map(|entry| entry.size).sum::<u64>();
        batches.sort_by_cached_key(|batch| std::cmp::Reverse(work(batch)));
        Self {
            file,
            entries,
            batches,
            next: AtomicUsize::new(0),
            failed: AtomicUsize::new(NOWHERE),
            found: Mutex::default(),
        }
    }

    /// How many threads can have something to do.
    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Whether an entry has failed: then nothing that depends on the package is worth doing.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) != NOWHERE
    }

    /// Leaves undone what no thread has begun: nobody wants to know any more.
    pub(super) fn give_up(&self) {
        self.next.store(self.batches.len(), Ordering::Relaxed);
    }

    /// Checks entries until none is left; every thread calls it once.
    pub(super) fn work(&self) {
        let mut inflater = None;
        let mut programs = Vec::new();
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let inflater = inflater.get_or_insert_with(Inflater::new);
            for place in batch.clone() {
                // Entries before the first that failed are checked all the same: the same package is always
                // refused for the same reason.
                if place >= self.failed.load(Ordering::Relaxed) {
                    break;
                }
                let entry = self.entries[place];
                match self.check(inflater, batch, place) {
                    Ok(true) => programs.push(entry.data_start),
                    Ok(false) => {}
                    Err(failure) => self.fail(place, failure),
                }
            }
        }
        self.found().programs.append(&mut programs);
    }

    fn check(&self, inflater: &mut Inflater, batch: &Range<usize>, place: usize) -> Result<bool, Failure> {
        if place == batch.start && batch.len() > 1 {
            let together = self.entries[batch.start].data_start..end(self.entries[batch.end - 1]);
            inflater.excerpt.load(self.file, together).map_err(Failure::Read)?;
        }
        inflater.run(self.file, self.entries[place], |_| {})
    }

    fn fail(&self, place: usize, failure: Failure) {
        let mut found = self.found();
        if place < self.failed.load(Ordering::Relaxed) {
            self.failed.store(place, Ordering::Relaxed);
            found.failure = Some((failure, self.entries[place]));
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found<'a>> {
        // A thread that panicked passes its panic on when it is joined.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The verdict, once every thread has ended: where the data of programs and scripts begins, in order.
    pub(super) fn verdict(self) -> Result<Vec<u64>, (Failure, &'a Stored)> {
        let found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = found.failure {
            return Err(failure);
        }
        let mut programs = found.programs;
        programs.sort_unstable();
        Ok(programs)
    }
}

/// Where an entry's data ends.
fn end(entry: &Stored) -> u64 {
    entry.data_start + entry.compressed_size
}
