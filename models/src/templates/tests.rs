//! What the miner promises, on made-up lines.

use proptest::prelude::*;

use super::*;

fn params() -> MinerParams {
    MinerParams::default()
}

fn miner(params: MinerParams) -> Miner {
    Miner::new(params.check().expect("in bounds"))
}

/// Final templates of the lines.
fn mined(lines: &[&str]) -> Vec<String> {
    let mut miner = miner(params());
    let slots: Vec<u32> = lines.iter().map(|line| miner.learn(line).template).collect();
    slots.iter().map(|&slot| miner.text(slot).to_owned()).collect()
}

/// All lines must end with this one template.
fn all_are(lines: &[&str], template: &str) {
    for (line, found) in lines.iter().zip(mined(lines)) {
        assert_eq!(found, template, "for `{line}`");
    }
}

#[test]
fn numbers_addresses_paths_and_identifiers_are_parameters_at_first_sight() {
    for (line, template) in [
        ("took 17 ms", "took <*> ms"),
        ("peer 10.0.0.1:80 gone", "peer <*> gone"),
        ("peer [fe80::1]:80 gone", "peer [<*>]:<*> gone"),
        ("mac 00:0D:60:EA:84:1F up", "mac <*> up"),
        ("open /var/log/x.log: denied", "open <*>: denied"),
        ("open C:\\Temp\\x.log failed", "open <*> failed"),
        ("user=7 rc=-1 at 0x1f", "user=<*> rc=<*> at <*>"),
        ("block blk_-3886504906413966 done", "block <*> done"),
        ("[req b9000564-fe1a-409b-b8cc-1e88b294cd1d] ok", "[req <*>] ok"),
        ("since Sat Jun 18 02:08:10 2005", "since <*>"),
        ("free 317.5 KB, after <1 sec", "free <*>, after <*>"),
        ("generating core.6161", "generating core.<*>"),
        ("instruction......................0", "instruction......................<*>"),
        ("enabled: true", "enabled: <*>"),
        ("host db.example.com up", "host <*> up"),
        ("java.io.IOException: broken", "java.io.IOException: broken"),
    ] {
        assert_eq!(mined(&[line]), [template]);
    }
}

#[test]
fn lists_of_any_length_are_one_group_and_show_their_length_while_it_is_one() {
    assert_eq!(mined(&["fans 1 2 3", "fans 4 5 6"])[0], "fans <*> <*> <*>");
    all_are(&["delete blk_11 blk_12", "delete blk_13", "delete blk_14 blk_15 blk_16"], "delete <*>");
}

#[test]
fn a_missing_value_between_brackets_is_a_value() {
    all_are(&["from 10.1.1.1 (a1.example.com) now", "from 10.1.1.2 () now"], "from <*> (<*>) now");
}

#[test]
fn a_name_in_the_same_place_merges_after_a_noun_at_the_second_and_elsewhere_at_the_fifth() {
    all_are(&["session for user ann is closed", "session for user bob is closed"], "session for user <*> is closed");
    let colours =
        ["job red ran to its end", "job blue ran to its end", "job green ran to its end", "job black ran to its end"];
    assert_eq!(mined(&colours), colours);
    let mut five = colours.to_vec();
    five.push("job white ran to its end");
    all_are(&five, "job <*> ran to its end");
}

#[test]
fn a_field_in_brackets_merges_at_the_second_value_and_a_sentence_after_a_colon_does_not() {
    all_are(&["[query][station: shanghai]", "[query][station: suzhou]"], "[query][station: <*>]");
    let sentences = ["request of client failed: timeout", "request of client failed: refused"];
    assert_eq!(mined(&sentences), sentences);
}

#[test]
fn digits_of_a_word_show_until_a_second_value_comes_even_through_the_shape_cache() {
    assert_eq!(mined(&["login on tty2 now"]), ["login on tty2 now"]);
    all_are(&["login on tty2 now", "login on tty2 now", "login on tty3 now", "login on tty2 now"], "login on <*> now");
}

#[test]
fn a_merge_keeps_the_older_id_and_old_slots_lead_to_it() {
    let mut miner = miner(params());
    let ann = miner.learn("session for user ann is closed").template;
    let id = miner.id(ann);
    let bob = miner.learn("session for user bob is closed");
    assert!(bob.is_new);
    assert_eq!((miner.id(ann), miner.id(bob.template), miner.len()), (id, id, 1));
    assert_eq!(miner.lines(ann), 2);
    let eve = miner.learn("session for user eve is closed");
    assert_eq!((eve.template, eve.is_new), (miner.resolve(ann), false));
}

#[test]
fn a_place_that_is_a_value_by_its_looks_takes_a_word_and_what_is_told_apart_within_a_word() {
    all_are(
        &["Killed process 12 (httpd).", "Killed process 13 (ld.so.2).", "Killed process 14 (4711)."],
        "Killed process <*> (<*>).",
    );
    all_are(&["closed after 12 s, code abc", "closed after 7 s, code 17"], "closed after <*> s, code <*>");
    let apart = ["state is up", "state is 17"];
    assert_eq!(mined(&["is up", "is 17"]), ["is up", "is <*>"], "one word says too little");
    assert_ne!(mined(&apart)[0], apart[0]);
}

#[test]
fn a_template_that_meets_a_more_general_one_keeps_its_id_and_its_lines() {
    let mut miner = miner(params());
    let word = miner.learn("closed after 12 s, code abc").template;
    let id = miner.id(word);
    let number = miner.learn("closed after 7 s, code 17");
    assert_eq!((miner.id(number.template), miner.resolve(word), miner.len()), (id, number.template, 1));
    assert_eq!((miner.lines(word), miner.text(word)), (2, "closed after <*> s, code <*>"));
    let again = miner.learn("closed after 9 s, code abc");
    assert_eq!((again.template, again.is_new), (number.template, false));
    let new_word = miner.learn("closed after 9 s, code xyz");
    assert_eq!((new_word.template, new_word.is_new), (number.template, false));
    let mut found = Vec::new();
    miner.parameters(new_word.template, "closed after 9 s, code xyz", &mut found);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn blanks_are_folded_and_ends_trimmed() {
    all_are(&["a  b", " a b", "a b  "], "a b");
    assert_eq!(mined(&[""]), [""]);
}

#[test]
fn parameters_are_typed_and_point_into_the_line() {
    let mut miner = miner(params());
    let line = "user ann from 10.0.0.1 took 17ms";
    let slot = miner.learn(line).template;
    miner.learn("user bob from 10.0.0.2 took 18ms");
    let mut found = Vec::new();
    miner.parameters(slot, line, &mut found);
    let texts: Vec<(Kind, &str)> = found.iter().map(|param| (param.kind, &line[param.start..param.end])).collect();
    assert_eq!(texts, [(Kind::Word, "ann"), (Kind::Address, "10.0.0.1"), (Kind::Number, "17ms")]);
}

#[test]
fn the_template_unused_the_longest_makes_room_and_is_counted() {
    let mut miner = miner(MinerParams { templates_max: 2, ..params() });
    let first = miner.learn("alpha up");
    let id = miner.id(first.template);
    miner.learn("beta up");
    miner.learn("gamma up");
    assert_eq!((miner.len(), miner.evicted()), (2, 1));
    let again = miner.learn("alpha up");
    assert!(again.is_new);
    assert_eq!(miner.id(again.template), id, "an id is a function of the template");
}

#[test]
fn a_line_beyond_the_bounds_ends_in_one_parameter() {
    let mut miner = miner(MinerParams { line_bytes_max: 64, elements_max: 4, ..params() });
    let many = miner.learn("one two three four five six seven");
    assert_eq!(miner.text(many.template), "one two three four <*>");
    let long = "ü".repeat(100);
    let slot = miner.learn(&long).template;
    assert!(miner.text(slot).ends_with("<*>"));
}

#[test]
fn settings_out_of_bounds_are_named() {
    let error = MinerParams { templates_max: 1, ..params() }.check().expect_err("one is too few");
    assert_eq!(error.to_string(), "`templates_max: 1` is out of bounds, use 2 to 1048576");
}

#[test]
fn text_without_blanks_is_split_at_its_digits_and_stays_readable() {
    for (lines, template) in [
        (["用户12登录成功", "用户13登录成功"], "用户<*>登录成功"),
        (["订单77支付失败", "订单78901支付失败"], "订单<*>支付失败"),
        (["ユーザー12がログインしました", "ユーザー7がログインしました"], "ユーザー<*>がログインしました"),
        (["ผู้ใช้12เข้าสู่ระบบ", "ผู้ใช้13เข้าสู่ระบบ"], "ผู้ใช้<*>เข้าสู่ระบบ"),
        (["사용자 12번이 로그인", "사용자 13번이 로그인"], "사용자 <*>번이 로그인"),
        (["来自10.0.0.1:80的连接，耗时12ms。", "来自10.0.0.2:81的连接，耗时7ms。"], "来自<*>的连接，耗时<*>。"),
        (["第１２回目", "第７回目"], "第<*>回目"),
    ] {
        all_are(&lines, template);
    }
    assert_eq!(mined(&["用户登录成功", "größe12 überschritten"]), ["用户登录成功", "größe12 überschritten"]);
}

/// A part of a line: words that collide, identifiers, punctuation, or anything at all.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(vec!["user", "host", "open", "closed", "for", "at", "by", "failed", "Sat", "Jun", "true", "KB"]).prop_map(str::to_owned),
        4 => "[0-9]{1,5}",
        3 => "(ann|bob|eve|dan|kim|lee)",
        3 => "(tty|eth|v|blk_|node-|0x|-|#|)[0-9a-f]{1,9}(ms|x|B)?",
        2 => "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(:[0-9]{2})?",
        2 => "(/[a-z0-9.]{1,4}){1,3}",
        2 => "[\\[\\](){}<>=,;:.'\"|~!?*@#$%^&+-]{1,3}",
        1 => "\\PC{0,6}",
        2 => "(用户|登录|が|１|，|12|a1|ผู้|ab){1,4}",
        1 => any::<String>(),
    ]
}

fn line() -> impl Strategy<Value = String> {
    (proptest::collection::vec(part(), 0..9), proptest::sample::select(vec![" ", "", "=", "  "]))
        .prop_map(|(parts, glue)| parts.join(glue))
}

/// Enough to find what 256 find, in seconds.
const CASES: u32 = 96;

/// Everything a caller sees of one line.
fn seen(miner: &mut Miner, line: &str) -> (Match, u64, String) {
    let found = miner.learn(line);
    (found, miner.id(found.template), miner.text(found.template).to_owned())
}

fn restored(miner: &Miner) -> Miner {
    let state = serde_json::to_vec(miner).expect("serialises");
    serde_json::from_slice(&state).expect("deserialises")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_restart_in_the_middle_changes_nothing(lines in proptest::collection::vec(line(), 1..80), cut in 0_usize..80, small in any::<bool>()) {
        let templates_max = if small { 6 } else { 1_000 };
        let mut straight = miner(MinerParams { templates_max, ..params() });
        let mut broken = straight.clone();
        for (at, line) in lines.iter().enumerate() {
            if at == cut {
                broken = restored(&broken);
            }
            prop_assert_eq!(seen(&mut straight, line), seen(&mut broken, line), "line {} `{}`", at, line);
        }
        prop_assert_eq!(serde_json::to_vec(&straight).expect("serialises"), serde_json::to_vec(&broken).expect("serialises"));
    }

    #[test]
    fn the_shape_cache_changes_nothing(lines in proptest::collection::vec(line(), 1..60), digits in proptest::collection::vec(0_u8..10, 1..50)) {
        let mut cached = miner(params());
        let mut bare = miner(MinerParams { shapes_max: 2, ..params() });
        for (at, line) in lines.iter().enumerate() {
            // The line, and the same shape with other digits.
            let mut draw = digits.iter().cycle().skip(at);
            let other: String = line.chars().map(|letter| {
                if letter.is_ascii_digit() { char::from(b'0' + draw.next().copied().unwrap_or(0)) } else { letter }
            }).collect();
            // And with other lengths of numbers.
            let longer = other.replace('0', "0123").replace('7', "77777777").replace("99", "9");
            for line in [line, &other, &longer, line] {
                prop_assert_eq!(seen(&mut cached, line), seen(&mut bare, line), "`{}`", line);
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_slots_are_valid(lines in proptest::collection::vec(line(), 1..120)) {
        let mut miner = miner(MinerParams { templates_max: 5, line_bytes_max: 64, elements_max: 4, ..params() });
        for line in &lines {
            let found = miner.learn(line);
            prop_assert!((1..=5).contains(&miner.len()));
            prop_assert!(found.template < 5);
            prop_assert_eq!(miner.resolve(found.template), found.template);
            let mut params = Vec::new();
            miner.parameters(found.template, line, &mut params);
            prop_assert!(params.iter().all(|param| line.get(param.start..param.end).is_some()));
        }
    }
}
