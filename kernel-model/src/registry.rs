//! Tables of what there is a file each of: schemes, removers, scenarios.

/// The modules of a folder, and the table of what they have: one line `file: Entry, ...;` is all
/// that a new file needs. `rustfmt` doesn't come to modules that a macro declares, and has to be
/// told their files.
macro_rules! registry {
    ($(#[$doc:meta])* $table:ident of $each:ident {
        $($file:ident: $($entry:ident $(::<$value:literal>)?),+;)+
    }) => {
        $(pub mod $file;)+

        $(#[$doc])*
        pub struct $table<P>(std::marker::PhantomData<P>);

        impl<P: $crate::platform::Platform> $table<P> {
            /// In the order of tables.
            pub const ALL: &'static [&'static dyn $each<P>] =
                &[$($(&$file::$entry $(::<$value>)?),+),+];

            /// The one of a name.
            pub fn named(name: &str) -> Option<&'static dyn $each<P>> {
                let mut all = Self::ALL.iter().copied();
                all.find(|it| it.about().name == name)
            }
        }
    };
}
pub(crate) use registry;
