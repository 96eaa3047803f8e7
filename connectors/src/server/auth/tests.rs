//! Who is let in, as whom, and who is not.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TOKEN: &str = "correct horse";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn config() -> AuthConfig {
    AuthConfig {
        credentials: vec![
            Credential {
                tenant: "acme".to_owned(),
                bearer_sha256: Some(hex(&sha256(&[TOKEN.as_bytes()]))),
                ..Credential::default()
            },
            Credential {
                tenant: "umbrella".to_owned(),
                user: Some("prometheus".to_owned()),
                password_sha256: Some(hex(&sha256(&[b"a:b"]))),
                ..Credential::default()
            },
        ],
        networks: vec![
            Network { network: "10.1.2.3".to_owned(), tenant: "umbrella".to_owned() },
            Network { network: "10.1.0.0/16".to_owned(), tenant: "acme".to_owned() },
            Network { network: "::/0".to_owned(), tenant: "six".to_owned() },
        ],
        ..AuthConfig::default()
    }
}

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.parse().expect("plain"));
    headers
}

fn grant(auth: &Auth, value: &str) -> Option<Grant> {
    auth.grant(Shown { headers: &headers(value), certificate: None })
}

fn tenant(auth: &Auth, value: &str) -> Option<String> {
    grant(auth, value).map(|grant| grant.tenant.to_string())
}

#[test]
fn a_credential_stands_for_its_tenant_and_nothing_else_does() {
    let auth = Auth::new(&config()).expect("config is good");
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(tenant(&auth, &format!("Bearer {TOKEN}")).as_deref(), Some("acme"));
    assert_eq!(tenant(&auth, &format!("bearer  {TOKEN}")).as_deref(), Some("acme"));
    assert_eq!(tenant(&auth, &basic("prometheus:a:b")).as_deref(), Some("umbrella"));
    for wrong in [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        "Digest x",
        "Basic !!!",
        &basic("prometheus:a"),
        &basic("other:a:b"),
        &basic("prometheus"),
        &format!("Bearer {}", "x".repeat(AUTHORIZATION_BYTES_MAX)),
    ] {
        assert_eq!(tenant(&auth, wrong), None, "{wrong}");
    }
    assert_eq!(auth.grant(Shown { headers: &HeaderMap::new(), certificate: None }), None);
}

#[test]
fn the_digest_of_a_token_is_not_itself_a_token() {
    let auth = Auth::new(&config()).expect("config is good");
    let digest = hex(&sha256(&[TOKEN.as_bytes()]));
    assert_eq!(tenant(&auth, &format!("Bearer {digest}")), None);
}

#[test]
fn an_address_belongs_to_the_first_range_that_holds_it() {
    let auth = Auth::new(&config()).expect("config is good");
    let of = |address: &str| auth.tenant_of_address(address.parse().expect("address"));
    assert_eq!(of("10.1.2.3").as_deref(), Some("umbrella"));
    assert_eq!(of("10.1.9.9").as_deref(), Some("acme"));
    assert_eq!(of("::ffff:10.1.9.9").as_deref(), Some("acme"));
    assert_eq!(of("10.2.0.1"), None);
    assert_eq!(of("2001:db8::1").as_deref(), Some("six"));
}

#[test]
fn a_door_open_to_everybody_is_only_opened_on_loopback() {
    let anonymous = AuthConfig { anonymous_tenant: Some("default".to_owned()), ..AuthConfig::default() };
    let auth = Auth::new(&anonymous).expect("config is good");
    let nobody = auth.grant(Shown { headers: &HeaderMap::new(), certificate: None });
    let tenant = TenantName::new("default").expect("a name");
    assert_eq!(nobody, Some(Grant { tenant, may: Rights::ALL, credential: u32::MAX }));
    assert!(auth.check_listener("127.0.0.1:9090".parse().expect("address")).is_ok());
    assert!(auth.check_listener("0.0.0.0:9090".parse().expect("address")).is_err());
    let none = Auth::new(&AuthConfig::default()).expect("empty is good");
    assert!(none.check_listener("10.0.0.1:1".parse().expect("address")).is_err());
}

#[test]
fn an_operator_may_look_and_not_send_and_a_tenant_is_no_operator() {
    let operator = Operator { bearer_sha256: Some(hex(&sha256(&[b"run it"]))), ..Operator::default() };
    let auth = Auth::new(&AuthConfig { operators: vec![operator], ..config() }).expect("config is good");
    let is_operator = |value: &str| auth.is_operator(Shown { headers: &headers(value), certificate: None });
    assert!(auth.has_operators() && is_operator("Bearer run it"));
    assert_eq!(tenant(&auth, "Bearer run it"), None);
    assert!(!is_operator(&format!("Bearer {TOKEN}")) && !is_operator("Bearer wrong"));
}

#[test]
fn a_credential_may_what_it_says_and_by_default_send_only() {
    let read = |may: &str| -> Result<Rights, serde_json::Error> { serde_json::from_str(may) };
    let mut config = config();
    config.credentials[1].may = read(r#"["act"]"#).expect("a right");
    let auth = Auth::new(&config).expect("config is good");
    let may = |value: &str| {
        let may = grant(&auth, value).expect("known").may;
        (may.include(Right::Send), may.include(Right::Act))
    };
    assert_eq!(may(&format!("Bearer {TOKEN}")), (true, false));
    assert_eq!(may(&format!("Basic {}", STANDARD.encode("prometheus:a:b"))), (false, true));
    assert_eq!(read(r#"["act", "send"]"#).expect("rights"), Rights::ALL);
    assert_eq!(serde_json::to_string(&Rights::ALL).expect("plain"), r#"["send","act"]"#);
    assert!(read("[]").expect_err("nothing").to_string().contains("[send], [act] or both"));
    assert!(read(r#"["own"]"#).is_err());
}

#[test]
fn a_token_that_only_acts_sends_nothing_in_a_header_of_its_own() {
    let mut config = config();
    config.credentials[0].may = Rights::try_from(vec![Right::Act]).expect("a right");
    let auth = Auth::new(&config).expect("config is good");
    assert_eq!(auth.tenant_of_token(TOKEN), None);
}

#[test]
fn replaced_credentials_are_in_force_at_once_and_wrong_ones_change_nothing() {
    let auth = Auth::new(&config()).expect("config is good");
    let mut next = config();
    next.credentials[0].bearer_sha256 = Some(hex(&sha256(&[b"another"])));
    auth.replace(&next).expect("config is good");
    assert_eq!(tenant(&auth, &format!("Bearer {TOKEN}")), None);
    assert_eq!(tenant(&auth, "Bearer another").as_deref(), Some("acme"));
    next.credentials[0].bearer_sha256 = Some("abc".to_owned());
    assert!(auth.replace(&next).is_err());
    assert_eq!(tenant(&auth, "Bearer another").as_deref(), Some("acme"));
}

#[test]
fn a_half_written_credential_says_what_is_missing() {
    for credential in [
        Credential { tenant: "a".to_owned(), ..Credential::default() },
        Credential { tenant: "a".to_owned(), user: Some("u".to_owned()), ..Credential::default() },
        Credential {
            tenant: "a".to_owned(),
            bearer_sha256: Some("00".repeat(32)),
            user: Some("u".to_owned()),
            ..Credential::default()
        },
    ] {
        let config = AuthConfig { credentials: vec![credential], ..AuthConfig::default() };
        let error = Auth::new(&config).expect_err("incomplete").to_string();
        assert!(error.contains("exactly one of"), "{error}");
    }
    let short = Credential { tenant: "a".to_owned(), bearer_sha256: Some("abc".to_owned()), ..Credential::default() };
    let config = AuthConfig { credentials: vec![short], ..AuthConfig::default() };
    assert!(Auth::new(&config).expect_err("short").to_string().contains("64 hexadecimal"));
}

#[test]
fn a_secret_that_everybody_may_write_is_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    std::fs::write(&file, "correct horse\n").expect("written");
    for (mode, taken) in [(0o600, true), (0o640, true), (0o644, true), (0o666, false), (0o602, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
        let read = read_secret(&file);
        assert_eq!(read.is_ok(), taken, "{mode:o}: {read:?}");
    }
    assert!(read_secret(&file).expect_err("refused").to_string().contains("chmod o-w"));
}
