//! IAM's simulation of policies: what the fake itself would allow, or what a test scripted.

use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::action::Action;
use super::credentials::Credentials;
use super::refusal::Refusal;
use super::wire::Received;

/// What was asked, field by field; anything else is not imitated.
struct Question {
    principal: String,
    action: String,
    resource: String,
}

impl Question {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let text = String::from_utf8_lossy(body).into_owned();
        let mut question = Self { principal: String::new(), action: String::new(), resource: String::new() };
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match (name, value.as_str()) {
                ("Action", "SimulatePrincipalPolicy") | ("Version", "2010-05-08") => {}
                ("PolicySourceArn", _) => question.principal = value,
                ("ActionNames.member.1", _) => question.action = value,
                ("ResourceArns.member.1", _) => question.resource = value,
                _ => return Err(Refusal::not_imitated(format!("SimulatePrincipalPolicy with {pair}"))),
            }
        }
        Ok(question)
    }
}

/// The answer's body. `scripted` are decisions by action.
pub(super) fn answer(
    request: &Received,
    known: &[Credentials],
    scripted: &[(String, String)],
) -> Result<String, Refusal> {
    let Question { principal, action, resource } = Question::parse(&request.body)?;
    if action.is_empty() || !resource.starts_with("arn:aws:") {
        return Err(Refusal::new(400, "ValidationError", "ActionNames and ResourceArns must be given"));
    }
    let user = known.iter().find(|user| user.principal_arn() == principal).ok_or_else(|| {
        Refusal::new(404, "NoSuchEntity", format!("The entity with ARN {principal} cannot be found."))
    })?;
    let is_allowed = Action::ALL.iter().any(|known| known.right() == action && user.allowed.contains(known));
    let decision = match scripted.iter().find(|(of, _)| *of == action) {
        Some((_, decision)) => decision,
        None if is_allowed => "allowed",
        None => "implicitDeny",
    };
    Ok(format!(
        "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member>\
         <EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>\
         <EvalDecision>{decision}</EvalDecision><MatchedStatements/><MissingContextValues/></member>\
         </EvaluationResults></SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>{}</RequestId>\
         </ResponseMetadata></SimulatePrincipalPolicyResponse>",
        Uuid::now_v7(),
    ))
}
