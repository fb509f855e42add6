//! Loom: all executions that C11 allows, as far as it models them, up to a bound.

checked_platform! {
    /// The platform of `loom`, which explores every schedule that matters and every value that C11
    /// lets a load return, short of those that are stored later than they are read.
    Loom, "loom", loom, loom_races
}
