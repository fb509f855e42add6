//! The litmus tests as files: what they declare, and that herd7 can read them.

use kernel_model::fault_around::Schemes;
use kernel_model::litmus::{ALL, Litmus, Model, Observed};
use kernel_model::platform::Native;

#[test]
fn every_file_is_listed_by_its_name_and_says_what_is_expected() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/litmus");
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".litmus").map(str::to_owned))
        .collect();
    names.sort();
    let mut listed: Vec<_> = ALL.iter().map(|litmus| litmus.name).collect();
    listed.sort();
    assert_eq!(names, listed);
    for Litmus { name, text, .. } in ALL {
        let head = format!("C {name}\n\n(*\n * Result: ");
        assert!(text.starts_with(&head) && text.is_ascii(), "{name}");
        // As wide as the command prints it, beside its result.
        assert!(name.len() <= 44, "{name}");
        let exists = text.lines().last().unwrap();
        assert!(exists.starts_with("exists ("), "{name}");
    }
}

#[test]
fn each_scheme_has_a_test_of_its_verdict_under_either_model() {
    for litmus in ALL {
        for model in [Model::Linux6_1, Model::Linux6_12] {
            assert!(litmus.expected(model).is_some(), "{}", litmus.name);
        }
        for scheme in litmus.schemes {
            let exists = Schemes::<Native>::ALL.iter();
            assert!(
                exists.into_iter().any(|it| it.about().name == *scheme),
                "{scheme}"
            );
        }
    }
    for scheme in Schemes::<Native>::ALL {
        let about = scheme.about();
        let first = ALL
            .iter()
            .find(|litmus| litmus.schemes.contains(&about.name));
        let expected = first.expect(about.name).expected(Model::Linux6_12);
        let sound = about.verdict.is_sound();
        assert_eq!(expected == Some(Observed::Never), sound, "{}", about.name);
    }
}

#[test]
fn results_of_both_models_and_flags_are_read_from_the_first_comment() {
    let of = |text| Litmus {
        schemes: &[],
        name: "x",
        text,
    };
    let both = of("C x\n\n(*\n * Result: Never\n * Result by Linux 6.1: Sometimes\n *)\n");
    assert_eq!(both.expected(Model::Linux6_12), Some(Observed::Never));
    assert_eq!(both.expected(Model::Linux6_1), Some(Observed::Sometimes));
    let one = of("C x\n\n(*\n * Result: Always\n * Flag: data-race\n *)\n * Flag: late\n");
    assert_eq!(one.expected(Model::Linux6_1), Some(Observed::Always));
    assert_eq!(one.flags().collect::<Vec<_>>(), ["data-race"]);
    assert_eq!(of("C x\n\n(*\n *)\n").expected(Model::Linux6_12), None);
    let cat = "let rmw-sequence = (rf ; rmw)*\n";
    assert_eq!(Model::of(cat), Model::Linux6_12);
    assert_eq!(Model::of("let rmw = rmw\n"), Model::Linux6_1);
}

#[test]
fn herd7_can_read_them() {
    for litmus in ALL {
        if let Err(refused) = Reader::read(litmus.text) {
            panic!("{}: {refused}", litmus.name);
        }
    }
    let told = |body: &str| {
        let text =
            format!("C x\n\n(*\n *)\n\n{{ x=1; }}\n\nP0(int *x)\n{{\n{body}\n}}\n\nexists (x=1)\n");
        Reader::read(&text)
    };
    assert_eq!(
        told("int r = READ_ONCE(*x); if (r != 1) WRITE_ONCE(*x, 2);"),
        Ok(())
    );
    // What may be written in C and herd7 7.57 refuses; it reads the last two, a comment and a
    // register without a value.
    for bad in [
        "int r = READ_ONCE(*x); if (!r) WRITE_ONCE(*x, 2);",
        "int r = READ_ONCE(*x); if (r == 1 && r >= 1) WRITE_ONCE(*x, 2);",
        "int r = READ_ONCE(*x); if (r == 1 || r >= 2) WRITE_ONCE(*x, 2);",
        "int r = READ_ONCE(*x); WRITE_ONCE(*x, r -1);",
        "int r; int s = 1; r += s;",
        "int r = 1; r++;",
        "WRITE_ONCE(*x, ~1);",
        "WRITE_ONCE(*x, 1)",
        "set_bit(0, x);",
        "smp_store_release(x);",
        "/* no */ WRITE_ONCE(*x, 1);",
        "WRITE_ONCE(*x, r);",
    ] {
        assert!(told(bad).is_err(), "{bad}");
    }
}

/// Reads a test as herd7 7.57 does (`lib/CLexer.mll`, `lib/CParser.mly`), as far as the tests here
/// go.
struct Reader<'a> {
    /// The words that are left, the next one last.
    left: Vec<&'a str>,
    /// Parameters and registers of this process.
    names: Vec<&'a str>,
}

/// What `linux-kernel.def` has had since Linux 6.1, and with how many arguments.
const PRIMITIVES: &[(&str, usize)] = &[
    ("READ_ONCE", 1),
    ("WRITE_ONCE", 2),
    ("smp_load_acquire", 1),
    ("smp_store_release", 2),
    ("smp_mb", 0),
    ("smp_rmb", 0),
    ("smp_wmb", 0),
    ("smp_mb__after_atomic", 0),
    ("smp_mb__after_spinlock", 0),
    ("spin_lock", 1),
    ("spin_unlock", 1),
    ("spin_trylock", 1),
    ("atomic_read", 1),
    ("atomic_read_acquire", 1),
    ("atomic_set", 2),
    ("atomic_set_release", 2),
    ("atomic_inc", 1),
    ("atomic_dec", 1),
    ("atomic_add", 2),
    ("atomic_inc_return", 1),
    ("atomic_sub_return", 2),
    ("atomic_sub_return_acquire", 2),
    ("atomic_sub_return_release", 2),
    ("atomic_fetch_add", 2),
    ("atomic_fetch_add_relaxed", 2),
    ("atomic_fetch_add_acquire", 2),
    ("atomic_fetch_add_release", 2),
    ("atomic_cmpxchg", 3),
    ("atomic_cmpxchg_acquire", 3),
];

const OPERATORS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "+", "-", "&", "|", "^"];

impl<'a> Reader<'a> {
    fn read(text: &'a str) -> Result<(), String> {
        let (_, text) = text.split_once(" *)\n").ok_or("no first comment")?;
        let (init, text) = text.split_once('}').ok_or("no initial state")?;
        if !init.trim_start().starts_with('{') {
            return Err(format!("{init} is no initial state"));
        }
        let (processes, _) = text.split_once("\nexists (").ok_or("no condition")?;
        let mut reader = Self {
            left: words(processes)?,
            names: Vec::new(),
        };
        reader.left.reverse();
        let mut number = 0;
        while !reader.left.is_empty() {
            reader.process(number)?;
            number += 1;
        }
        Ok(())
    }

    fn peek(&self) -> &'a str {
        self.left.last().unwrap_or(&"the end")
    }

    fn next(&mut self) -> &'a str {
        self.left.pop().unwrap_or("the end")
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next() {
            word if word == wanted => Ok(()),
            word => Err(format!("{word} where {wanted} should be")),
        }
    }

    fn process(&mut self, number: u32) -> Result<(), String> {
        self.expect(&format!("P{number}"))?;
        self.expect("(")?;
        self.names.clear();
        loop {
            match self.next() {
                "int" | "atomic_t" | "spinlock_t" => self.expect("*")?,
                other => return Err(format!("{other} is no parameter's type")),
            }
            let name = self.next();
            self.names.push(name);
            match self.next() {
                "," => {}
                ")" => return self.block(),
                other => return Err(format!("{other} after parameter {name}")),
            }
        }
    }

    fn block(&mut self) -> Result<(), String> {
        self.expect("{")?;
        while self.peek() != "}" {
            self.statement()?;
        }
        self.expect("}")
    }

    fn statement(&mut self) -> Result<(), String> {
        match self.next() {
            "if" => {
                self.expect("(")?;
                self.expression()?;
                self.expect(")")?;
                match self.peek() {
                    "{" => self.block(),
                    _ => self.statement(),
                }
            }
            "int" => {
                let name = self.next();
                self.expect("=")?;
                self.expression()?;
                self.names.push(name);
                self.expect(";")
            }
            "*" => {
                self.expression()?;
                self.expect("=")?;
                self.expression()?;
                self.expect(";")
            }
            name => {
                self.call(name)?;
                self.expect(";")
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<(), String> {
        let known = PRIMITIVES.iter().find(|(it, _)| *it == name);
        let (_, arguments) = known.ok_or(format!("{name} is no primitive of the model"))?;
        self.expect("(")?;
        for number in 0..*arguments {
            if number > 0 {
                self.expect(",")?;
            }
            self.expression()?;
        }
        self.expect(")")
    }

    fn expression(&mut self) -> Result<(), String> {
        match self.next() {
            "(" => {
                self.expression()?;
                self.expect(")")?;
            }
            "*" => return self.expression(),
            word if word.bytes().all(|it| it.is_ascii_digit()) => {}
            word if self.peek() == "(" => self.call(word)?,
            word if self.names.contains(&word) => {}
            word => return Err(format!("{word} is not declared")),
        }
        if OPERATORS.contains(&self.peek()) {
            self.next();
            return self.expression();
        }
        Ok(())
    }
}

/// The words of herd7's C. A `-` that a digit follows belongs to the number.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let two = rest.get(..2).unwrap_or("");
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if ["==", "!=", "<=", ">="].contains(&two) {
            2
        } else if first == '-' && two.ends_with(|c: char| c.is_ascii_digit()) {
            1 + rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1)
        } else if ";,*+-^&|(){}=<>".contains(first) {
            1
        } else {
            return Err(format!("herd7's C has no {first}"));
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(words)
}
