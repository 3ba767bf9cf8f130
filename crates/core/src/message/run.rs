//! Deltas in a row for the same place. They are gathered, and put there when something else comes: the place is then looked
//! up once for all of them, and each costs one copy.

/// A run of deltas for a place `P`.
#[derive(Debug)]
pub(super) struct Run<P> {
    place: Option<P>,
    text: String,
}

impl<P> Default for Run<P> {
    fn default() -> Self {
        Self { place: None, text: String::new() }
    }
}

impl<P: PartialEq> Run<P> {
    /// Adds a delta. If it is for another place than those before, their run is returned.
    pub(super) fn add(&mut self, place: P, delta: &str) -> Option<(P, String)> {
        let ended = if self.place.as_ref() == Some(&place) { None } else { self.take() };
        self.place = Some(place);
        self.text.push_str(delta);
        ended
    }

    /// Ends the run.
    pub(super) fn take(&mut self) -> Option<(P, String)> {
        Some((self.place.take()?, std::mem::take(&mut self.text)))
    }
}
