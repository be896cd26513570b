//! One conjunct of a statement's conditions: what it reads, and whether it holds by itself.
//!
//! A release is decided by Cedar over whole statements. Conditions serve the refusal: each is evaluated alone, so that the one that does not
//! hold can be named.

use cedar_policy::pst::{
    ActionConstraint, BinaryOp, Clause, Effect, Expr, PolicyID, PrincipalConstraint, PstConstructionError, ResourceConstraint,
    StaticPolicy, Template, UnaryOp, Var,
};
use cedar_policy::{Authorizer, Decision, EvalResult, Expression, Policy, PolicySet, eval_expression};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::Facts;

/// A conjunct, ready to be evaluated alone.
#[derive(Debug)]
pub(super) struct Condition {
    /// Its text, in Cedar's syntax.
    pub(super) text: String,
    /// What it reads: `principal.image`, sorted.
    pub(super) attributes: BTreeSet<String>,
    probe: PolicySet,
    /// Both sides of a `containsAll`, whose difference is what an operator wants to see.
    cover: Option<(Expression, Expression)>,
}

/// How a conjunct by itself ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// It could not be evaluated, and why.
    Undecided(String),
}

/// Splits `when { a && b } unless { c || d }` into `a`, `b`, `!c`, `!d`.
pub(super) fn conjuncts(clauses: &[Clause]) -> Result<Vec<Condition>, PstConstructionError> {
    let mut found = Vec::new();
    for clause in clauses {
        match clause {
            Clause::When(expr) => split(expr, true, &mut found)?,
            Clause::Unless(expr) => split(expr, false, &mut found)?,
        }
    }
    Ok(found)
}

fn split(expr: &Arc<Expr>, wanted: bool, into: &mut Vec<Condition>) -> Result<(), PstConstructionError> {
    match (&**expr, wanted) {
        (Expr::UnaryOp { op: UnaryOp::Not, expr }, _) => split(expr, !wanted, into),
        (Expr::BinaryOp { op: BinaryOp::And, left, right }, true) | (Expr::BinaryOp { op: BinaryOp::Or, left, right }, false) => {
            split(left, wanted, into)?;
            split(right, wanted, into)
        }
        _ => {
            into.push(Condition::new(expr, wanted)?);
            Ok(())
        }
    }
}

impl Condition {
    fn new(expr: &Arc<Expr>, wanted: bool) -> Result<Self, PstConstructionError> {
        let (clause, text) = if wanted {
            (Clause::When(Arc::clone(expr)), expr.to_string())
        } else {
            (Clause::Unless(Arc::clone(expr)), format!("!({expr})"))
        };
        let anything = (PrincipalConstraint::Any, ActionConstraint::Any, ResourceConstraint::Any);
        let template = Template::new(PolicyID("condition".into()), Effect::Permit, anything.0, anything.1, anything.2);
        let policy =
            Policy::from_pst(cedar_policy::pst::Policy::Static(StaticPolicy::try_from(template.try_with_clauses(vec![clause])?)?))?;
        let mut probe = PolicySet::new();
        // A set of one cannot hold a duplicate; were the condition lost, the empty probe would not hold.
        let _ = probe.add(policy);
        Ok(Self { text, attributes: attributes(expr), probe, cover: cover(expr, wanted) })
    }

    /// Whether it holds by itself.
    pub(super) fn holds(&self, facts: &Facts, authorizer: &Authorizer) -> Holds {
        let response = authorizer.is_authorized(&facts.request, &self.probe, &facts.entities);
        match (response.diagnostics().errors().next(), response.decision()) {
            (Some(error), _) => Holds::Undecided(error.to_string()),
            (None, Decision::Allow) => Holds::Yes,
            (None, Decision::Deny) => Holds::No,
        }
    }

    /// What it reads, with the values that were there, and what an allow-list in it does not cover.
    pub(super) fn found(&self, facts: &Facts) -> String {
        let mut text = self.attributes.iter().map(|name| facts.render(name)).collect::<Vec<_>>().join(", ");
        if let Some(rest) = self.uncovered(facts) {
            text.push_str("; not covered: ");
            text.push_str(&rest);
        }
        text
    }

    fn uncovered(&self, facts: &Facts) -> Option<String> {
        let (all, part) = self.cover.as_ref()?;
        let side = |expr| match eval_expression(&facts.request, &facts.entities, expr) {
            Ok(EvalResult::Set(set)) => Some(set),
            _ => None,
        };
        let (all, part) = (side(all)?, side(part)?);
        let rest: Vec<String> = part.iter().filter(|e| !all.contains(e)).map(ToString::to_string).collect();
        if rest.is_empty() { None } else { Some(rest.join(", ")) }
    }
}

fn cover(expr: &Expr, wanted: bool) -> Option<(Expression, Expression)> {
    match expr {
        Expr::BinaryOp { op: BinaryOp::ContainsAll, left, right } if wanted => {
            Some((left.to_string().parse().ok()?, right.to_string().parse().ok()?))
        }
        _ => None,
    }
}

fn variable(var: &Var) -> &'static str {
    match var {
        Var::Principal => "principal",
        Var::Action => "action",
        Var::Resource => "resource",
        Var::Context => "context",
    }
}

/// Every `principal.x`, `resource.x` and `context.x` in an expression.
pub(super) fn attributes(expr: &Expr) -> BTreeSet<String> {
    let own = |e: &Expr| match e {
        Expr::GetAttr { expr, attr } => match &**expr {
            Expr::Var(var) => Some(BTreeSet::from([format!("{}.{attr}", variable(var))])),
            _ => None,
        },
        _ => None,
    };
    expr.reduce(
        &own,
        &|mut a: BTreeSet<String>, b| {
            a.extend(b);
            a
        },
        BTreeSet::new(),
    )
}

/// An expression that the validator takes and that we don't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    Has(String),
    Indirect(String),
}

/// The first `has`, or attribute access that cannot be told from the text.
pub(super) fn refused(expr: &Expr) -> Option<Refused> {
    let own = |e: &Expr| match e {
        Expr::HasAttr { .. } | Expr::BinaryOp { op: BinaryOp::HasTag, .. } => Some(Some(Refused::Has(e.to_string()))),
        Expr::GetAttr { expr, .. } if matches!(&**expr, Expr::Var(_)) => Some(None),
        Expr::GetAttr { .. } | Expr::Var(Var::Context) => Some(Some(Refused::Indirect(e.to_string()))),
        Expr::Literal(cedar_policy::pst::Literal::EntityUID(uid)) if uid.ty.to_string() == super::schema::WORKLOAD => {
            Some(Some(Refused::Indirect(e.to_string())))
        }
        _ => None,
    };
    expr.reduce(&own, &Option::or, None)
}
