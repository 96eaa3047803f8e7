//! Who a stranger is: the form for a token, or for a user and password.

use maud::{Markup, html};

/// The form; `next` is where its reader wanted to go. At this machine a name may be enough (`nameless`).
pub(crate) fn page(next: &str, nameless: bool, wrong: Option<&str>) -> Markup {
    html! {
        section.card.sign aria-labelledby="sign" {
            form method="post" action="/page/sign-in" {
                h1 #sign { "Sign in" }
                @if let Some(wrong) = wrong { p.notice.wrong role="alert" { (wrong) } }
                input type="hidden" name="next" value=(next);
                label { "Your name, as others shall read it"
                    input #who type="text" name="who" maxlength="80" autocomplete="name" required autofocus; }
                label { "Token, or password"
                    input #secret type="password" name="secret" maxlength="4096" autocomplete="current-password" required[!nameless]; }
                label { "User, where there is a password"
                    input #user type="text" name="user" maxlength="200" autocomplete="username"; }
                @if nameless { p.small.soft { "At this machine no token is needed: your name is enough." } }
                button.main { "Sign in" }
                p.small.soft { "With a credential of " code { "wires.auth" } ". What it may do there, it may do here: " code { "may: [act]" } " for acknowledging and more." }
            }
        }
    }
}
