//! The choice of a tenant, for who sees several and looks at something that is one tenant's.

use std::sync::Arc;

use maud::{Markup, html};

use super::words::said;
use crate::page::model::Scope;

/// Links to the same page of another tenant; nothing where there is no choice.
pub(crate) fn chooser(path: &str, tenant: &str, tenants: &[Arc<str>], scope: &Scope) -> Markup {
    html! {
        @if *scope == Scope::All && tenants.len() > 1 {
            form.search method="get" action=(path) {
                label.inline { "Tenant"
                    select name="tenant" { @for one in tenants { option value=(one) selected[**one == *tenant] { (said(one)) } } }
                }
                button { "Show" }
            }
        }
    }
}
