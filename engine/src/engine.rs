//! The fold: `(state, entry) → (state', incident events)`.
