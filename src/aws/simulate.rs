//! IAM's `SimulatePrincipalPolicy`. One call of a service that has 180: it is made of the pieces that the SDK's own clients
//! are made of, since a client for all of them would take longer to compile than all of octarm.

use std::time::Duration;

use aws_runtime::auth::{
    SigV4OperationSigningConfig,
    sigv4::{SCHEME_ID, SigV4AuthScheme},
};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::{
    auth::{AuthSchemeOptionResolverParams, static_resolver::StaticAuthSchemeOptionResolver},
    behavior_version::BehaviorVersion,
    orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
    runtime_components::RuntimeComponentsBuilder,
    runtime_plugin::StaticRuntimePlugin,
};
use aws_smithy_types::{body::SdkBody, config_bag::Layer, error::ErrorMetadata, timeout::TimeoutConfig};
use aws_types::{
    SigningName,
    region::{Region, SigningRegion},
    service_config::ServiceConfigKey,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::{Document, Node};

use super::{Aws, AwsError, Decision, Permission, policy::partition};

const ACTION: &str = "SimulatePrincipalPolicy";
/// IAM answers within a second, as a rule.
const PATIENCE: Duration = Duration::from_secs(20);

impl Aws {
    /// What IAM would say to these, in their order. It reads policies and does nothing; who asks needs the right to do so.
    pub async fn simulate(
        &self,
        principal: &str,
        permissions: &[Permission],
    ) -> Result<Vec<Decision>, AwsError> {
        let mut decisions = Vec::with_capacity(permissions.len());
        for one in permissions {
            let body = [
                ("Action", ACTION),
                ("Version", "2010-05-08"),
                ("PolicySourceArn", principal),
                ("ActionNames.member.1", one.action),
                ("ResourceArns.member.1", &one.resource),
            ];
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let body: Vec<String> =
                body.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
            decisions.push(self.simulate_one(principal, body.join("&")).await?);
        }
        Ok(decisions)
    }

    async fn simulate_one(&self, principal: &str, body: String) -> Result<Decision, AwsError> {
        let no_answer = |reason: String| AwsError::NoAnswer {
            action: ACTION,
            target: principal.to_owned(),
            region: self.region.clone(),
            source: reason.into(),
        };
        let (endpoint, region) = self
            .identity_service()
            .ok_or_else(|| no_answer(format!("where IAM is for {} is not known here", self.region)))?;
        let provider =
            self.config.credentials_provider().ok_or_else(|| AwsError::NoCredentials { source: None })?;
        let mut layer = Layer::new("IAM");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(Region::new(region))),
            name: Some(SigningName::from_static("iam")),
            ..SigV4OperationSigningConfig::default()
        });
        let components = RuntimeComponentsBuilder::new("IAM")
            .with_time_source(Some(self.time.clone()))
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
            .with_identity_resolver(SCHEME_ID, provider);
        let mut operation = Operation::builder()
            .service_name("IAM")
            .operation_name(ACTION)
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build())
            .no_retry()
            .runtime_plugin(
                StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components),
            );
        if let Some(http) = self.config.http_client() {
            operation = operation.http_client(http);
        }
        let answer = operation
            .serializer(|body: String| {
                let mut request = HttpRequest::new(SdkBody::from(body));
                request.set_method("POST")?;
                request.set_uri("/")?;
                request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
                Ok(request)
            })
            .deserializer(|answer: &HttpResponse| {
                let text = answer.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
                let document = Document::parse(&text).map_err(OrchestratorError::other)?;
                if answer.status().is_success() {
                    decision(&document)
                        .ok_or_else(|| OrchestratorError::other("the answer holds no decision"))
                } else {
                    let error = ErrorMetadata::builder()
                        .code(text_of(&document, "Code").unwrap_or("no error code"))
                        .message(text_of(&document, "Message").unwrap_or("no message"))
                        .build();
                    Err(OrchestratorError::operation(error))
                }
            })
            .build()
            .invoke(body)
            .await;
        self.time.judge(ACTION, principal, &self.region, answer)
    }

    /// Where IAM is, and the region that its requests are signed for: there is one IAM for each partition.
    fn identity_service(&self) -> Option<(String, &'static str)> {
        let key = ServiceConfigKey::builder()
            .service_id("IAM")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = key.ok().and_then(|key| self.config.service_config()?.load_config(key));
        let given = own.or_else(|| self.config.endpoint_url().map(str::to_owned));
        let (endpoint, region) = match partition(&self.region)? {
            "aws-cn" => ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            "aws-us-gov" => ("https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            _ => ("https://iam.amazonaws.com", "us-east-1"),
        };
        Some((given.unwrap_or_else(|| endpoint.to_owned()), region))
    }
}

fn text_of<'d>(document: &'d Document<'_>, name: &str) -> Option<&'d str> {
    document.descendants().find(|node| node.tag_name().name() == name)?.text()
}

/// The decision on the one action and resource that was asked for.
fn decision(document: &Document<'_>) -> Option<Decision> {
    let is_false = |parent: &str, name: &str| {
        let parent = document.descendants().find(|node| node.tag_name().name() == parent);
        let says = |node: Node<'_, '_>| node.tag_name().name() == name && node.text() == Some("false");
        parent.is_some_and(|parent| parent.descendants().any(says))
    };
    let is_limited = is_false("OrganizationsDecisionDetail", "AllowedByOrganizations")
        || is_false("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary");
    match text_of(document, "EvalDecision")? {
        "allowed" => Some(Decision::Allowed),
        "explicitDeny" => Some(Decision::Denied),
        _ if is_limited => Some(Decision::Limited),
        "implicitDeny" => Some(Decision::NotAllowed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_read_with_what_limits_it() {
        let answer = |said: &str, more: &str| {
            let text = format!(
                "<R xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><EvaluationResults><member>\
                 <EvalDecision>{said}</EvalDecision>{more}</member></EvaluationResults></R>"
            );
            decision(&Document::parse(&text).unwrap())
        };
        assert_eq!(answer("allowed", ""), Some(Decision::Allowed));
        assert_eq!(answer("explicitDeny", ""), Some(Decision::Denied));
        assert_eq!(answer("implicitDeny", ""), Some(Decision::NotAllowed));
        let limit = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>\
                     </OrganizationsDecisionDetail>";
        assert_eq!(answer("implicitDeny", limit), Some(Decision::Limited));
        assert_eq!(answer("perhaps", ""), None);
    }
}
