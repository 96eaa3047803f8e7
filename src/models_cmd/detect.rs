//! `bellwether models detect`
