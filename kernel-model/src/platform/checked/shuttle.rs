//! Shuttle: random schedules of a sequentially consistent machine.

checked_platform! {
    /// The platform of `shuttle`, which picks schedules at random or by PCT. Every load gets the
    /// newest value, whatever its ordering: sites can't be weakened here, but what is checked may
    /// be larger.
    Shuttle, "shuttle", shuttle, shuttle_races
}
