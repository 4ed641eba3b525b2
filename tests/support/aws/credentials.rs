//! The credentials that the fake knows.

use super::action::Action;

/// The account of the default credentials, in which functions are made.
pub(crate) const ACCOUNT: &str = "111122223333";

/// An access key of one user, and what that user may do.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) account: String,
    pub(super) allowed: Vec<Action>,
    /// Whose session this is, where it is one of a role.
    role: Option<String>,
}

impl Default for Credentials {
    /// Allowed everything. The secret is a marker that no output may ever show.
    fn default() -> Self {
        Self::new("AKIAOCTARMDEPLOYER01", "MARKER+aws/secret+never/in+any/output000")
    }
}

impl Credentials {
    /// A user of the default account who may do everything.
    pub(crate) fn new(key_id: &str, secret: &str) -> Self {
        Self {
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
            account: ACCOUNT.to_owned(),
            allowed: Action::ALL.to_vec(),
            role: None,
        }
    }

    /// The same user in another account.
    #[must_use]
    pub(crate) fn in_account(mut self, account: &str) -> Self {
        account.clone_into(&mut self.account);
        self
    }

    /// The same user with these rights only.
    #[must_use]
    pub(crate) fn allowed_only(mut self, actions: &[Action]) -> Self {
        self.allowed = actions.to_vec();
        self
    }

    /// A session of this role.
    #[must_use]
    pub(crate) fn of_role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// The ARN of the user, or of the session.
    pub(crate) fn user_arn(&self) -> String {
        let name = self.key_id.to_lowercase();
        match &self.role {
            Some(role) => format!("arn:aws:sts::{}:assumed-role/{role}/{name}", self.account),
            None => format!("arn:aws:iam::{}:user/{name}", self.account),
        }
    }

    /// The ARN whose policies hold.
    pub(super) fn principal_arn(&self) -> String {
        match &self.role {
            Some(role) => format!("arn:aws:iam::{}:role/{role}", self.account),
            None => self.user_arn(),
        }
    }
}
