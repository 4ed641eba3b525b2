//! Nothing makes rendering hang, panic or grow without end.

use octarm::{
    model::Variable,
    template::{Renderer, Variables, names, value},
};
use proptest::prelude::*;

use super::{rendered, set};

fn error(text: &str, variables: &Variables) -> String {
    let rendered = rendered(text, variables);
    assert_eq!(rendered.missing, [""; 0]);
    rendered.error.unwrap()
}

#[test]
fn deep_nesting_is_an_error_and_not_a_full_stack() {
    let deep = |part: &str| part.repeat(100_000);
    for text in [
        deep("#{if a}"),
        deep("#{if a == \"x\"}"),
        format!("{}{}", deep("#{if a}"), deep("#{/if}")),
        deep("#{unless a}"),
        deep("#{each a in a}"),
        format!("#{{a{}", deep("[#{a")),
        deep("#{a | b "),
        deep("#{if a | b "),
        format!("#{{calc {}", deep("(")),
    ] {
        let error = error(&text, &Variables::default());
        assert!(error.starts_with("the text is nested too deeply"), "{}: {error}", &text[..20]);
        assert!(names(&text).is_empty());
        let variables = set(&[("v", &text)]);
        let of_value = rendered("#{v}", &variables);
        assert_eq!(of_value.value, None);
        assert!(of_value.error.unwrap().contains("nested too deeply"));
        let of_value = value("v", &variables, &jiff::ZonedDateTime::now()).unwrap();
        assert!(of_value.error.unwrap().starts_with("the value of `v` is nested too deeply"));
    }
}

#[test]
fn what_does_not_nest_may_be_long() {
    let variables = set(&[("a", "1"), ("j", &"[".repeat(100_000))]);
    for (text, expected) in [
        ("#{a}".repeat(100_000), "1".repeat(100_000)),
        ("#{if a}x#{/if}".repeat(10_000), "x".repeat(10_000)),
        (format!("#{{if b}}{}#{{/if}}", "#{elseif b}".repeat(10_000)), String::new()),
        (format!("#{{calc 0{}}}", "+a".repeat(10_000)), "10000".to_owned()),
        (format!("#{{a{}}}", " | ToUpper".repeat(10_000)), "1".to_owned()),
    ] {
        assert_eq!(rendered(&text, &variables).clean().unwrap(), expected);
    }
    let raw = format!("#{{n{}x{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let found = rendered(&raw, &variables);
    assert_eq!(found.error, None);
    assert!(found.missing == [raw.as_str()]);
    let open = format!("#{{a{}}}", "[".repeat(100_000));
    assert!(error(&open, &variables).contains("cannot be read"));
    assert_eq!(rendered("#{j.x}", &variables).missing, ["#{j.x}"], "too deep to be JSON");
    let path = format!("a{}", ".b".repeat(100_000));
    assert_eq!(rendered(&format!("#{{{path}}}"), &set(&[(&path, "found")])).clean().unwrap(), "found");
}

#[test]
fn values_nest_deeply_but_not_without_end() {
    let chain = |length: usize| -> Variables {
        (0..=length)
            .map(|i| {
                let value = if i == length { "end".to_owned() } else { format!("#{{v{}}}", i + 1) };
                Variable::plain(format!("v{i}"), value)
            })
            .collect()
    };
    assert_eq!(rendered("#{v0}", &chain(140)).clean().unwrap(), "end");
    assert!(error("#{v0}", &chain(100_000)).contains("values, conditions and loops deep"));
    // Nor when the deep ones are known already.
    let (variables, now) = (chain(200), jiff::ZonedDateTime::now());
    let renderer = Renderer::new(&variables, &now);
    assert_eq!(renderer.value("v100").unwrap().clean().unwrap(), "end");
    assert!(renderer.value("v0").unwrap().error.unwrap().contains("values, conditions and loops deep"));
}

#[test]
fn the_deepest_of_all_fits_the_stack_of_a_small_thread() {
    // All kinds of depth at once, as deep as is allowed.
    let value = |next: usize| {
        format!(
            "{}#{{x | f #{{if x[#{{x[#{{v{next}}}]}}]}}#{{x[#{{v{next}}}]}}#{{/if}}}}{}",
            "#{if t}#{each i in t}".repeat(25),
            "#{/each}#{/if}".repeat(25)
        )
    };
    let mut variables: Variables = (0..300).map(|i| Variable::plain(format!("v{i}"), value(i + 1))).collect();
    variables.extend([Variable::plain("t", "true"), Variable::plain("x", "1")]);
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let error = small.spawn(move || error("#{v0}", &variables)).unwrap().join().unwrap();
    assert!(error.contains("values, conditions and loops deep"), "{error}");
}

#[test]
fn values_that_multiply_themselves_are_stopped() {
    let bomb = |leaf| {
        let mut bomb = set(&[("v0", leaf)]);
        bomb.extend((1..60).map(|i| Variable::plain(format!("v{i}"), format!("#{{v{0}}}#{{v{0}}}", i - 1))));
        bomb
    };
    assert_eq!(rendered("#{v59}", &bomb("")).clean().unwrap(), "");
    assert_eq!(rendered("#{v59}", &bomb("#{nope | null}")).value, None);
    assert!(error("#{v59}", &bomb("x")).contains("multiplies itself"));
    assert!(error("#{v59}", &bomb("#{nope}")).contains("multiplies itself"));
    let list = set(&[("l", &",".repeat(5_000))]);
    let nested = "#{each a in l}#{each b in l}#{each c in l}#{/each}#{/each}#{/each}";
    assert!(error(nested, &list).contains("too many steps"));
    let long = set(&[("l", &",".repeat(500)), ("x", &"x".repeat(20_000))]);
    assert!(error("#{each a in l}#{x}#{/each}", &long).contains("the text grows over 4194304 bytes"));
    let document = format!("['{}', '#{{l}}']", "x".repeat(100_000));
    let json = set(&[("l", &",".repeat(5_000)), ("j", &document)]);
    assert!(error("#{each a in l}#{if j[1]}#{/if}#{/each}", &json).contains("too many steps"));
}

#[test]
fn an_error_quotes_the_text_that_was_given_and_no_value() {
    let secret = "hunter2";
    let variables: Variables = [
        Variable::sensitive("s", format!("{secret}#{{")),
        Variable::sensitive("deep", format!("{secret}{}", "#{if a}".repeat(1000))),
        Variable::sensitive("loop", format!("{secret}#{{loop}}")),
    ]
    .into_iter()
    .collect();
    assert!(!format!("{variables:?}").contains(secret));
    let gap: Variables = [
        Variable::sensitive("p", "a#{hunter2}b"),
        Variable::plain("q", "#{p}"),
        Variable::plain("i[hunter2]", "#{each a in q}#{i[#{s}]}#{/each}"),
        Variable::sensitive("s", secret),
    ]
    .into_iter()
    .collect();
    assert_eq!(rendered("#{q}", &gap).missing, ["#{p}"]);
    let now = jiff::ZonedDateTime::now();
    assert_eq!(value("P", &gap, &now).unwrap().missing, ["#{P}"]);
    assert!(error("#{i[#{s}]}", &gap).contains("loop (i[#{s}] -> i[…] -> i[…])"));
    assert_eq!(rendered("#{s}", &variables).clean().unwrap(), "hunter2#{");
    for text in ["#{deep}", "#{loop}", "#{s} #{x", "#{s.x} #{loop}"] {
        let error = error(text, &variables);
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn parts_of_a_sensitive_value_are_as_secret() {
    let variables: Variables = [
        Variable::sensitive("s", r##"{"p": "hunter#{zz2pw}", "l": ["a#{yy3pw}"], "q": {"r": "#{ww4pw}"}}"##),
        Variable::sensitive("j", r#"["hunter#{zz2pw}"]"#),
        Variable::sensitive("l", "hunter#{zz2pw},b"),
        Variable::plain("through", "#{s}"),
        Variable::sensitive("bad", "hunter("),
        Variable::sensitive("calc", "hunter#{calc zz2pw+1}"),
    ]
    .into_iter()
    .collect();
    for (text, missing) in [
        ("#{s.p}", "#{s.p}"),
        ("#{s[p]}", "#{s[p]}"),
        ("#{s.q}", "#{s.q}"),
        ("#{through.p}", "#{through.p}"),
        ("#{j[0]}", "#{j[0]}"),
        ("#{each i in j}#{i}#{/each}", "#{i}"),
        ("#{each i in l}#{i}#{/each}", "#{i}"),
        ("#{each i in s}#{i.Value}#{/each}", "#{i.Value}"),
        ("#{each i in s.l}#{i}#{/each}", "#{i}"),
    ] {
        let found = rendered(text, &variables).missing;
        assert_eq!(found.last().map(String::as_str), Some(missing), "{text}");
        assert!(!found.join(" ").contains("pw"), "{text}: {found:?}");
    }
    assert_eq!(rendered("#{calc}", &variables).uncalculated, ["#{calc}"]);
    for text in ["#{ | Append a | Match #{bad}}", "#{ | Append a | Replace #{bad} b}"] {
        let error = error(text, &variables);
        assert!(error.ends_with("cannot use an option that comes of a sensitive value"), "{error}");
    }
    let inside = [Variable::sensitive("s", "hunter #{x | Match \"zz2pw(\"}"), Variable::plain("x", "1")];
    let error = error("#{s}", &inside.into_iter().collect());
    assert_eq!(error, "the filter `Match` cannot use an option that comes of a sensitive value");
}

#[test]
fn what_sensitive_values_become_is_told() {
    let variables: Variables = [
        Variable::sensitive("pw", "Hunter2"),
        Variable::sensitive("n", "21"),
        Variable::sensitive("j", r#"{"p": "Inner"}"#),
        Variable::plain("e", "CI"),
        Variable::plain("loud", "<#{pw | ToUpper}>"),
        Variable::plain("list", "a,#{pw}"),
        Variable::plain("made", r##"{"Fn": "orders", "Pass": "#{pw}"}"##),
        Variable::sensitive("quoted", "a\"b"),
        Variable::plain("odd", r##"{"Fn": "orders", "Pass": "#{quoted | JsonEscape}"}"##),
        Variable::sensitive("none", ""),
    ]
    .into_iter()
    .collect();
    for (text, secrets) in [
        ("f-#{pw}-#{e}", &["Hunter2"][..]),
        ("f-#{pw | ToUpper}", &["HUNTER2"]),
        ("#{pw | Substring 4}#{pw | Truncate 3}", &["Hunt", "Hun..."]),
        ("#{e | Append #{pw | ToLower}}", &["hunter2", "CIhunter2"]),
        ("#{loud}", &["HUNTER2", "<HUNTER2>"]),
        ("#{loud | ToLower}", &["HUNTER2", "<hunter2>"]),
        ("#{j.p}", &["Inner"]),
        // Only the part that holds the secret is as secret; the secret itself is told in any case.
        ("#{each i in list}#{i | ToUpper}#{/each}", &["Hunter2", "HUNTER2"]),
        ("#{made.Fn}", &["Hunter2"]),
        ("#{made.Pass | ToUpper}", &["Hunter2", "HUNTER2"]),
        ("#{each i in made}#{i.Value}#{/each}", &["Hunter2"]),
        ("#{odd.Pass}#{odd.Fn}", &["a\"b", "orders"]),
        ("#{none | Append orders}", &[]),
        ("#{calc n*2}", &["42"]),
        // Said of it, not made of it.
        ("#{if pw == \"x\"}#{e}#{else}#{e}#{/if}", &[]),
        ("#{pw | Contains H}", &[]),
        ("#{e}", &[]),
    ] {
        let now = jiff::ZonedDateTime::now();
        let renderer = Renderer::new(&variables, &now);
        // Twice with one memory, since what is remembered tells it too; some of it twice over.
        for _ in 0..2 {
            let mut found = renderer.render(text).secrets;
            found.retain(|secret| *secret != "\"a\\\"b\"" && *secret != "a\\\"b");
            assert_eq!(found, secrets, "{text}");
        }
    }
}

#[test]
fn what_fails_tells_the_secrets_in_it_too() {
    let variables: Variables = [
        Variable::plain("broken", "#{made}#{broken}"),
        Variable::plain("made", "12-#{pw | ToUpper}"),
        Variable::sensitive("pw", "Hunter2"),
        Variable::sensitive("g", "#{pub.hunter2[#{a}]}"),
        Variable::plain("a", "#{g}"),
        Variable::plain("pub", "1"),
    ]
    .into_iter()
    .collect();
    let now = jiff::ZonedDateTime::now();
    let renderer = Renderer::new(&variables, &now);
    let broken = renderer.value("broken").unwrap();
    assert!(broken.error.is_some());
    assert_eq!(broken.secrets, ["HUNTER2", "12-HUNTER2"]);
    assert_eq!(renderer.value("made").unwrap().secrets, ["HUNTER2"]);
    let error = error("#{a}", &variables);
    assert!(error.contains("(a -> g -> … -> … -> ") && !error.contains("hunter2"), "{error}");
}

#[test]
fn large_values_are_paid_for_wherever_they_are_read() {
    let large = "1".repeat(1_000_000);
    let variables = set(&[("l", &",".repeat(4_000)), ("a", &large), ("b", "x")]);
    for body in ["#{calc a*2}", "#{b[#{a}]}", "#{if a == \"x\"}y#{/if}", "#{if a}#{/if}"] {
        let error = error(&format!("#{{each x in l}}{body}#{{/each}}"), &variables);
        assert!(error.contains("too many steps"), "{body}: {error}");
    }
}

#[test]
fn a_calculation_without_a_number_is_not_clean() {
    let variables = set(&[("word", "x"), ("nested", "#{calc nope+1}"), ("two", "2")]);
    for (text, value) in [
        ("#{calc nope*2}", "#{nope*2}"),
        ("#{calc word+1}", "#{word+1}"),
        ("#{calc {two}/0}", "Infinity"),
        ("#{nested}", "#{nope+1}"),
    ] {
        let rendered = rendered(text, &variables);
        assert_eq!((rendered.value.as_deref(), rendered.missing.len()), (Some(value), 0), "{text}");
        let error = rendered.clean().unwrap_err().to_string();
        assert!(error.starts_with("no number comes of the calculation `#{"), "{error}");
    }
    assert_eq!(rendered("#{calc {two}/4}", &variables).clean().unwrap(), "0.5");
}

#[test]
fn a_long_list_of_gaps_is_told_in_short() {
    let tokens: Vec<String> = (0..31).map(|number| format!("#{{x{number}}}")).collect();
    let text = tokens.concat();
    let message = rendered(&text, &set(&[])).clean().unwrap_err().to_string();
    assert!(message.ends_with("`#{x19}`, and 11 more"), "{message}");
    let long = format!("#{{{}}}", "x".repeat(60_000));
    let message = rendered(&long, &set(&[])).clean().unwrap_err().to_string();
    assert!(message.len() < 300, "{}", message.len());
}

#[test]
fn one_variable_is_found_by_its_exact_name_alone() {
    let variables = set(&[
        ("a.b", "#{c}"),
        ("c", "1"),
        ("j", r#"{"x": 2}"#),
        ("[odd", "3"),
        ("open", "#{c"),
        ("self", "#{self}"),
    ]);
    let now = jiff::ZonedDateTime::now();
    let value = |name| value(name, &variables, &now).map(octarm::template::Rendered::clean);
    assert_eq!(value("A.B"), Some(Ok("1".to_owned())));
    assert_eq!(value("j.x"), None);
    assert_eq!(value("[odd"), Some(Ok("3".to_owned())));
    assert_eq!(value("open"), Some(Ok("#{c".to_owned())));
    assert!(value("self").unwrap().unwrap_err().to_string().contains("loop (self -> self)"));
    assert_eq!(variables.get("A.b").unwrap().value, "#{c}");
}

#[test]
fn a_set_that_changes_is_read_anew() {
    let mut variables = set(&[("a", "1")]);
    assert_eq!(rendered("#{a}#{b}", &variables).missing, ["#{b}"]);
    variables.set(Variable::plain("b", "2"));
    variables.set(Variable::plain("A", "3"));
    assert_eq!(rendered("#{a}#{b}", &variables).clean().unwrap(), "32");
    assert_eq!(variables.iter().count(), 2);
}

/// Texts made of the language's own pieces.
fn language() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "#{",
        "}",
        "#{if ",
        "#{unless ",
        "#{elseif ",
        "#{else}",
        "#{/if}",
        "#{/unless}",
        "#{each ",
        " in ",
        "#{/each}",
        "#{calc ",
        "a",
        "b",
        "c",
        ".",
        "[",
        "]",
        "*",
        "|",
        " | ToUpper ",
        "\"",
        "\\\"",
        " ",
        " == ",
        " != ",
        "+",
        "-",
        "/",
        "(",
        ")",
        "{",
        "#",
        "##{",
        "ü",
        "1",
        "0.5",
        ",",
        ":",
        "null",
        "#{a}",
        "#{b.c}",
        "\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn rendering_never_panics(
        text in language(),
        values in prop::collection::vec((prop::sample::select(vec!["a", "b", "c", "a.b", "b.c", "a[b]", "a[1].c"]), language()), 0..6),
    ) {
        let variables: Variables =
            values.iter().map(|(name, value)| Variable::plain(*name, value.as_str())).collect();
        let found = rendered(&text, &variables);
        // What has neither a value nor an error came to `null`, and the same comes out again.
        prop_assert!(found.value.is_some() || found.error.is_some() || text.contains("null") || values.iter().any(|(_, value)| value.contains("null")));
        prop_assert_eq!(&rendered(&text, &variables), &found);
        let _ = names(&text);
    }

    #[test]
    fn what_is_remembered_changes_nothing(
        values in prop::collection::vec((prop::sample::select(vec!["a", "b", "c", "a.b", "b.c", "a[b]", "a[1].c"]), language()), 0..8),
    ) {
        let variables: Variables =
            values.iter().map(|(name, value)| Variable::plain(*name, value.as_str())).collect();
        let now = jiff::ZonedDateTime::now();
        let renderer = Renderer::new(&variables, &now);
        for (name, text) in values.iter().chain(&values) {
            prop_assert_eq!(renderer.value(name), value(name, &variables, &now));
            prop_assert_eq!(renderer.render(text), rendered(text, &variables));
        }
    }

    #[test]
    fn names_of_any_kind_make_a_tree(names in prop::collection::vec("[a-c.\\[\\] #{}*|]{0,12}", 0..20)) {
        let variables: Variables = names.iter().map(|name| Variable::plain(name, "x")).collect();
        for name in &names {
            let _ = rendered(&format!("#{{{name}}}#{{each a in {name}}}#{{a}}#{{/each}}"), &variables);
            prop_assert_eq!(&variables.get(name).unwrap().value, "x");
        }
    }

    #[test]
    fn text_without_a_token_is_kept(text in "[^{]{0,60}") {
        prop_assert_eq!(rendered(&text, &Variables::default()).clean().unwrap(), text);
    }

    #[test]
    fn what_is_written_back_comes_out_the_same_again(text in language()) {
        let none = Variables::default();
        for token in rendered(&text, &none).missing.iter().filter(|token| token.starts_with("#{") && !token.contains('"')) {
            let again = rendered(token, &none);
            if again.error.is_none() {
                prop_assert_eq!(again.value.as_deref(), Some(token.as_str()), "{}", text);
            }
        }
    }
}
