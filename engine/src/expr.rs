//! The one expression language: SQL conditions, evaluated by DataFusion over Arrow columns.
//!
//! Rules, inhibitions, silences and routes are boolean SQL expressions, e.g.
//! `value > 0.05 AND env = 'prod'` or `name LIKE 'Disk%' AND severity <> 'info'`. Each signal
//! has its base columns ([`Vocabulary`]); every other identifier is the label of that name,
//! null where a row has no such label. Names with dots are quoted: `"k8s.namespace.name"`. A label
//! that shares its name with a base column is reached as `"label.severity"`.
//!
//! Only immutable functions exist here: nothing reads a clock or draws a random number.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DataFusionError, Result as DfResult, TableReference, not_impl_err};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{AggregateUDF, ColumnarValue, HigherOrderUDF, ScalarUDF, TableSource, Volatility, WindowUDF};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer, TokenizerError};

/// Longest expression in bytes: conditions are written by people.
pub(crate) const EXPRESSION_BYTES_MAX: usize = 4_096;

/// Reaches a label whose name is also a base column.
const LABEL_PREFIX: &str = "label.";

/// Deepest nesting of an expression.
const NESTING_MAX: usize = 50;

/// The base columns of one signal: what an expression may name beside labels.
pub type Vocabulary = &'static [(&'static str, DataType)];

/// Base columns of rules over metrics.
pub(crate) const METRIC_COLUMNS: Vocabulary = &[
    ("value", DataType::Float64),
    ("name", DataType::Utf8),
    ("entity", DataType::Utf8),
    ("entity_type", DataType::Utf8),
    ("unit", DataType::Utf8),
];

/// Base columns of rules over logs.
pub(crate) const LOG_COLUMNS: Vocabulary = &[
    ("body", DataType::Utf8),
    ("severity", DataType::Int64),
    ("entity", DataType::Utf8),
    ("entity_type", DataType::Utf8),
];

/// Base columns of conditions over alerts.
pub const ALERT_COLUMNS: Vocabulary = &[
    ("name", DataType::Utf8),
    ("source", DataType::Utf8),
    ("entity", DataType::Utf8),
    ("entity_type", DataType::Utf8),
    ("severity", DataType::Utf8),
];

/// A column that an expression reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColumnNeed<'a> {
    /// The base column at this index of the vocabulary.
    Base(usize),
    /// The label of this name.
    Label(&'a str),
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    physical: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
    base: Vec<Option<usize>>,
}

/// Why a text is not a condition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExpressionError {
    /// Too long to be written by a person.
    #[error("expression of {0} bytes is longer than {EXPRESSION_BYTES_MAX}: make several of it")]
    Long(usize),
    /// A name of several parts. The parser would take a time for it that doubles with each.
    #[error("expression `{0}` joins names with dots: quote them, as in \"k8s.namespace.name\"")]
    Dotted(String),
    /// Not SQL, or it names a function that is not there.
    #[error("expression `{text}` does not read: {why}")]
    Parse {
        /// The text.
        text: String,
        /// What the parser or planner says.
        why: String,
    },
    /// It reads, but its value is not true or false.
    #[error("expression `{text}` yields {found}, a condition must be true or false")]
    NotBoolean {
        /// The text.
        text: String,
        /// The type it yields.
        found: String,
    },
}

impl Expression {
    /// Compiles `text` over the base columns of one signal and any labels.
    ///
    /// # Errors
    /// [`ExpressionError`] names what does not read.
    pub fn compile(text: &str, vocabulary: Vocabulary) -> Result<Expression, ExpressionError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError::Long(text.len()));
        }
        let parse = |why: String| ExpressionError::Parse { text: text.to_owned(), why };
        let tokens = tokens(text).map_err(|e| parse(e.to_string()))?;
        if tokens.contains(&Token::Period) {
            return Err(ExpressionError::Dotted(text.to_owned()));
        }
        let (fields, base) = columns_named(&tokens, vocabulary);
        let schema = Arc::new(Schema::new(fields));
        let (physical, found) = plan(text, &schema).map_err(|e| parse(first_line(&e)))?;
        if found != DataType::Boolean {
            return Err(ExpressionError::NotBoolean { text: text.to_owned(), found: found.to_string() });
        }
        Ok(Expression { text: text.to_owned(), physical, schema, base })
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns it reads, in the order [`evaluate`](Self::evaluate) takes them.
    pub(crate) fn needs(&self) -> impl Iterator<Item = ColumnNeed<'_>> {
        self.schema.fields().iter().zip(&self.base).map(|(field, base)| match base {
            Some(index) => ColumnNeed::Base(*index),
            None => ColumnNeed::Label(field.name().strip_prefix(LABEL_PREFIX).unwrap_or(field.name())),
        })
    }

    /// The condition over `rows` rows of the columns it needs.
    ///
    /// A row whose condition is null (a missing label, a division by zero) does not match. The
    /// whole answer is "no" when DataFusion refuses to compute it, and the second value then
    /// says why, for a counter.
    pub fn evaluate(&self, columns: Vec<ArrayRef>, rows: usize) -> (BooleanArray, Option<String>) {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let outcome = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(DataFusionError::from)
            .and_then(|records| self.physical.evaluate(&records))
            .and_then(|value| match value {
                ColumnarValue::Array(array) => Ok(array),
                ColumnarValue::Scalar(scalar) => scalar.to_array_of_size(rows),
            });
        match outcome {
            Ok(array) => {
                let answers = array.as_any().downcast_ref::<BooleanArray>().expect("compile checked the type");
                if answers.null_count() == 0 {
                    return (answers.clone(), None);
                }
                (arrow::compute::prep_null_mask_filter(answers), None)
            }
            Err(error) => (BooleanArray::from(vec![false; rows]), Some(first_line(&error))),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, TokenizerError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize()?;
    Ok(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect())
}

/// The fields an expression names, with the base column each one is, if it is one.
fn columns_named(tokens: &[Token], vocabulary: Vocabulary) -> (Vec<Field>, Vec<Option<usize>>) {
    let mut fields: Vec<Field> = Vec::new();
    let mut base = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let quoted = word.quote_style.is_some();
        let index = vocabulary.iter().position(|(name, _)| *name == word.value);
        let is_keyword = word.keyword != Keyword::NoKeyword && !quoted && index.is_none();
        let is_call = matches!(tokens.get(i + 1), Some(Token::LParen)) && !quoted;
        if is_keyword || is_call || fields.iter().any(|field| *field.name() == word.value) {
            continue;
        }
        let data_type = index.map_or(DataType::Utf8, |i| vocabulary[i].1.clone());
        fields.push(Field::new(&word.value, data_type, true));
        base.push(index);
    }
    (fields, base)
}

fn plan(text: &str, schema: &Arc<Schema>) -> DfResult<(Arc<dyn PhysicalExpr>, DataType)> {
    let dialect = GenericDialect {};
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).try_with_sql(text)?;
    let ast = parser.parse_expr()?;
    if parser.peek_token().token != Token::EOF {
        return Err(DataFusionError::Plan(format!(
            "nothing should follow the condition, but `{}` does",
            parser.peek_token()
        )));
    }
    let df_schema = Arc::new(DFSchema::try_from(schema.as_ref().clone())?);
    let provider = Provider::default();
    let options = ParserOptions { enable_ident_normalization: false, ..ParserOptions::new() };
    let logical =
        SqlToRel::new_with_options(&provider, options).sql_to_expr(ast, &df_schema, &mut PlannerContext::new())?;
    let context = SimplifyContext::builder().with_schema(df_schema.clone()).build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(logical, &df_schema)?;
    let simplified = simplifier.simplify(coerced)?;
    let physical = datafusion_physical_expr::create_physical_expr(
        &simplified,
        &df_schema,
        &ExecutionProps::new(),
        &Default::default(),
    )?;
    let found = physical.data_type(schema)?;
    Ok((physical, found))
}

fn first_line(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What the SQL planner may look up: immutable scalar functions, and nothing else.
#[derive(Default)]
struct Provider {
    options: ConfigOptions,
}

static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    datafusion_functions::all_default_functions()
        .into_iter()
        .filter(|f| f.signature().volatility == Volatility::Immutable)
        .collect()
});

static PLANNERS: LazyLock<Vec<Arc<dyn ExprPlanner>>> =
    LazyLock::new(|| vec![Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default())]);

impl ContextProvider for Provider {
    fn get_table_source(&self, _: TableReference) -> DfResult<Arc<dyn TableSource>> {
        not_impl_err!("a condition reads no tables")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &PLANNERS
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.iter().find(|f| f.name() == name || f.aliases().iter().any(|alias| alias == name)).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.iter().map(|f| f.name().to_owned()).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::*;

    fn matches(text: &str, value: f64, env: Option<&str>) -> bool {
        let expression = Expression::compile(text, METRIC_COLUMNS).expect("it compiles");
        let columns = expression
            .needs()
            .map(|need| match need {
                ColumnNeed::Base(0) => Arc::new(Float64Array::from(vec![value])) as ArrayRef,
                ColumnNeed::Base(_) => Arc::new(StringArray::from(vec!["service:api"])) as ArrayRef,
                ColumnNeed::Label(_) => Arc::new(StringArray::from(vec![env])) as ArrayRef,
            })
            .collect();
        let (answers, error) = expression.evaluate(columns, 1);
        assert_eq!(error, None);
        answers.value(0)
    }

    #[test]
    fn a_condition_reads_values_and_labels() {
        assert!(matches("value > 0.05 AND env = 'prod'", 0.1, Some("prod")));
        assert!(!matches("value > 0.05 AND env = 'prod'", 0.1, Some("test")));
        assert!(matches("entity LIKE 'service:%' and value between 1 and 2", 1.5, None));
        assert!(matches(r#""service.namespace" IN ('a', 'b')"#, 0.0, Some("b")));
        assert!(matches("upper(env) = 'PROD'", 0.0, Some("prod")));
        assert!(matches("env ~ '^pr'", 0.0, Some("prod")));
        assert!(matches(r#"regexp_like(coalesce("label.value", ''), '^(?:pro.)$')"#, 0.0, Some("prod")));
    }

    #[test]
    fn a_label_with_the_name_of_a_column_is_reached_by_its_prefix() {
        let expression = Expression::compile(r#""label.value" = 'x' AND value > 1"#, METRIC_COLUMNS);
        let expression = expression.expect("it compiles");
        let needs: Vec<ColumnNeed<'_>> = expression.needs().collect();
        assert_eq!(needs, [ColumnNeed::Label("value"), ColumnNeed::Base(0)]);
    }

    #[test]
    fn a_missing_label_does_not_match() {
        assert!(!matches("env <> 'prod'", 0.1, None));
        assert!(matches("env IS NULL", 0.1, None));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_reason() {
        let error =
            |text: &str| Expression::compile(text, METRIC_COLUMNS).expect_err("it must not compile").to_string();
        assert!(error("value +").contains("does not read"));
        assert!(error("value + 1").contains("true or false"));
        assert!(error("value > 1 value").contains("nothing should follow"));
        assert!(error("random() > 0.5").contains("random"));
        assert!(error("now() > 0").contains("now"));
        assert!(error(&"(".repeat(500)).contains("does not read"));
        assert!(error(&"x".repeat(5000)).contains("longer"));
        assert!(error("value > (SELECT 1)").contains("does not read"));
    }

    #[test]
    fn names_joined_by_dots_are_refused_with_the_remedy_before_the_parser_sees_them() {
        let chain = vec!["a"; 2_000].join(".");
        for text in [chain.as_str(), "k8s.pod = 'a'", "value > 1 AND a . b = 'c'"] {
            let error = Expression::compile(text, METRIC_COLUMNS).expect_err(text);
            assert_eq!(error, ExpressionError::Dotted(text.to_owned()));
            assert!(error.to_string().contains("quote them"), "{error}");
        }
        for text in ["\"k8s.pod\" = 'a.b'", "value > 1.5", "value > .5 AND name = 'a.b.c'"] {
            Expression::compile(text, METRIC_COLUMNS).expect(text);
        }
    }
}
