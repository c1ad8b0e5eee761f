//! One fixture for several tests.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A fixture that is made when a test first asks for it, shared by the tests that run at the
/// same time, and dropped with the last of them: a `LazyLock` would never be dropped, and its
/// process would outlive the tests.
pub struct Shared<T> {
    make: fn() -> T,
    there: Mutex<Weak<T>>,
}

impl<T> Shared<T> {
    /// A fixture that `make` makes.
    pub const fn new(make: fn() -> T) -> Self {
        Self {
            make,
            there: Mutex::new(Weak::new()),
        }
    }

    /// The fixture, made now if no other test holds it.
    pub fn get(&self) -> Arc<T> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fixture) = there.upgrade() {
            return fixture;
        }
        let fixture = Arc::new((self.make)());
        *there = Arc::downgrade(&fixture);
        fixture
    }
}
