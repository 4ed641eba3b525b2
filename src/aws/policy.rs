//! Permissions: which are needed, as a policy, and which a principal has, as IAM simulates it. Nothing is tried out.

use serde_json::{Value, json};

/// An action that some calls need, and what on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// As a policy names it.
    pub action: &'static str,
    /// The ARN, or a pattern of ARNs.
    pub resource: String,
}

/// What IAM says of one permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Some policy allows it and none denies it.
    Allowed,
    /// No policy allows it.
    NotAllowed,
    /// A policy denies it, whatever the others allow.
    Denied,
    /// A limit around the policies leaves it out: of the organisation, or a permissions boundary.
    Limited,
}

/// Whose policies speak for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user's or a role's, by its ARN.
    Of(String),
    /// Nobody's: the account's root user may do everything.
    Root,
    /// None that can be simulated.
    Unknown,
}

impl Principal {
    /// Of a caller's ARN. A session of a role speaks by the role's policies; of a role with a path its ARN does not tell
    /// that, and IAM then says that there is no such role.
    pub fn of(arn: &str) -> Self {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, service, _, account, name] = parts[..] else { return Self::Unknown };
        match (service, name.split('/').collect::<Vec<_>>().as_slice()) {
            ("iam", ["root"]) => Self::Root,
            ("iam", ["user" | "role", _, ..]) => Self::Of(arn.to_owned()),
            ("sts", ["assumed-role", role, ..]) => {
                Self::Of(format!("arn:{partition}:iam::{account}:role/{role}"))
            }
            _ => Self::Unknown,
        }
    }
}

/// The smallest policy with these permissions.
pub fn policy(permissions: &[Permission]) -> Value {
    // Actions that hold for the same resources make one statement.
    let mut statements: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    let mut actions: Vec<&str> = permissions.iter().map(|one| one.action).collect();
    actions.sort_unstable();
    actions.dedup();
    for action in actions {
        let mut resources: Vec<&str> =
            permissions.iter().filter(|one| one.action == action).map(|one| one.resource.as_str()).collect();
        resources.sort_unstable();
        resources.dedup();
        match statements.iter_mut().find(|(_, known)| *known == resources) {
            Some((together, _)) => together.push(action),
            None => statements.push((vec![action], resources)),
        }
    }
    let statements: Vec<Value> = statements
        .into_iter()
        .map(|(actions, resources)| json!({ "Effect": "Allow", "Action": actions, "Resource": resources }))
        .collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The partition of a region, which begins all of its ARNs; none where it is not known.
pub fn partition(region: &str) -> Option<&'static str> {
    match region {
        _ if region.starts_with("cn-") => Some("aws-cn"),
        _ if region.starts_with("us-gov-") => Some("aws-us-gov"),
        _ if region.contains("-iso") || region.starts_with("eusc-") => None,
        _ => Some("aws"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(action: &'static str, resource: &str) -> Permission {
        Permission { action, resource: resource.to_owned() }
    }

    #[test]
    fn a_session_speaks_by_the_policies_of_its_role() {
        let of = |arn: &str| Principal::of(arn);
        let role = "arn:aws-cn:iam::111122223333:role/Deployer";
        assert_eq!(
            of("arn:aws-cn:sts::111122223333:assumed-role/Deployer/i-0abc"),
            Principal::Of(role.to_owned())
        );
        let user = "arn:aws:iam::111122223333:user/team/ci";
        assert_eq!(of(user), Principal::Of(user.to_owned()));
        assert_eq!(of("arn:aws:iam::111122223333:root"), Principal::Root);
        for other in ["arn:aws:sts::111122223333:federated-user/x", "nonsense", "arn:aws:iam::1:user"] {
            assert_eq!(of(other), Principal::Unknown, "{other}");
        }
    }

    #[test]
    fn a_policy_says_each_thing_once() {
        let needed = [
            permission("lambda:UpdateFunctionCode", "arn:b"),
            permission("lambda:GetFunction", "arn:b"),
            permission("lambda:GetFunction", "arn:a"),
            permission("lambda:UpdateFunctionCode", "arn:a"),
            permission("s3:PutObject", "arn:c"),
        ];
        assert_eq!(
            policy(&needed)["Statement"],
            json!([
                {
                    "Effect": "Allow", "Action": ["lambda:GetFunction", "lambda:UpdateFunctionCode"],
                    "Resource": ["arn:a", "arn:b"],
                },
                { "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:c"] },
            ])
        );
    }
}
