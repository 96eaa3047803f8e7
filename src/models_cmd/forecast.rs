//! `bellwether models forecast`
