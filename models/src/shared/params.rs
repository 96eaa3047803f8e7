//! One error for a parameter that breaks its rule, and the checks that raise it.
//! Unchecked parameters become checked ones; only those build a model.

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("parameter `{name}` is `{value}`: {rule}")]
pub struct ParamError {
    /// The parameter as written in the configuration.
    pub name: &'static str,
    /// The value found.
    pub value: f64,
    /// What is allowed, as a remedy: "use 1 to 100".
    pub rule: String,
}

/// Passes `value` when it is finite and inside `[low, high]`.
///
/// # Errors
/// [`ParamError`] naming the parameter and the range.
pub fn within(name: &'static str, value: f64, low: f64, high: f64) -> Result<f64, ParamError> {
    if value.is_finite() && value >= low && value <= high {
        Ok(value)
    } else {
        Err(ParamError { name, value, rule: format!("use a number from {low} to {high}") })
    }
}

/// Passes `value` when it is finite and at least `low`.
///
/// # Errors
/// [`ParamError`] naming the parameter and the bound.
pub fn at_least(name: &'static str, value: f64, low: f64) -> Result<f64, ParamError> {
    if value.is_finite() && value >= low {
        Ok(value)
    } else {
        Err(ParamError { name, value, rule: format!("use a number of at least {low}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_its_range_names_the_parameter_and_the_range() {
        let error = within("alerts_per_week", -1.0, 0.0, 5.0).expect_err("negative");
        assert_eq!(error.to_string(), "parameter `alerts_per_week` is `-1`: use a number from 0 to 5");
        assert!(within("x", f64::NAN, 0.0, 5.0).is_err());
        assert!(at_least("x", f64::INFINITY, 0.0).is_err());
        assert_eq!(within("x", 5.0, 0.0, 5.0), Ok(5.0));
    }
}
