//! Environments, lifecycles, projects with their processes, and channels.

use super::{
    operation::{NAMED, Operation, delete, get, post, put},
    shape::{
        Field, Schema,
        Shape::{A, Any, Empty, Flag, Id, Like, List, Map, Maybe, Number, Object, OneOf, Text, Whole},
        answered, taken,
    },
};

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/environments", "List the environments.").query(&[NAMED]).answers_page("Environment"),
    post("/api/environments", "Make an environment.").takes("NewEnvironment").makes("Environment"),
    get("/api/environments/all", "All environments.").answers_list("Environment"),
    get("/api/environments/v2", "List the environments of a type.")
        .query(&[NAMED, &[("type", Text, "Only this type: `Static`.")]])
        .answers_page("Environment"),
    get("/api/environments/{id}", "Show an environment, by id or name.").answers("Environment"),
    put("/api/environments/{id}", "Change an environment.").takes("NewEnvironment").answers("Environment"),
    delete("/api/environments/{id}", "Delete an environment that nothing needs.").answers("Environment"),
    get("/api/lifecycles", "List the lifecycles.").query(&[NAMED]).answers_page("Lifecycle"),
    post("/api/lifecycles", "Make a lifecycle.").takes("NewLifecycle").makes("Lifecycle"),
    get("/api/lifecycles/all", "All lifecycles.").answers_list("Lifecycle"),
    get("/api/lifecycles/{id}", "Show a lifecycle, by id or name.").answers("Lifecycle"),
    put("/api/lifecycles/{id}", "Change a lifecycle.").takes("NewLifecycle").answers("Lifecycle"),
    delete("/api/lifecycles/{id}", "Delete a lifecycle that nothing needs.").answers("Lifecycle"),
    get("/api/projectgroups", "List the one project group.").query(&[NAMED]).answers_page("ProjectGroup"),
    get("/api/projectgroups/all", "All project groups.").answers_list("ProjectGroup"),
    get("/api/projectgroups/{id}", "Show the project group.").answers("ProjectGroup"),
    get("/api/projects", "List the projects.").query(&[NAMED]).answers_page("Project"),
    post("/api/projects", "Make a project.").takes("NewProject").makes("Project"),
    get("/api/projects/all", "All projects.").answers_list("Project"),
    get("/api/projects/{id}", "Show a project, by id, slug or name.").answers("Project"),
    put("/api/projects/{id}", "Change a project; what is not sent stays.")
        .takes("ProjectChange")
        .answers("Project"),
    delete("/api/projects/{id}", "Delete a project without releases.").answers("Project"),
    get("/api/projects/{id}/deploymentprocesses", "Show the process of a project.").answers("Process"),
    put("/api/projects/{id}/deploymentprocesses", "Change the process of a project.")
        .takes("NewProcess")
        .answers("Process"),
    get("/api/deploymentprocesses/{id}", "Show a process.").answers("Process"),
    put("/api/deploymentprocesses/{id}", "Change a process.").takes("NewProcess").answers("Process"),
    get("/api/deploymentprocesses/{id}/template", "Show what a new release needs a version for.")
        .query(&[&[("channel", Like("Channels-1"), "The channel of the release.")]])
        .answers("ReleaseTemplate"),
    get("/api/channels", "List the channels of all projects.").query(&[NAMED]).answers_page("Channel"),
    post("/api/channels", "Make a channel.").takes("NewChannel").makes("Channel"),
    get("/api/channels/all", "All channels.").answers_list("Channel"),
    get("/api/channels/{id}", "Show a channel.").answers("Channel"),
    put("/api/channels/{id}", "Change a channel.").takes("ChannelChange").answers("Channel"),
    delete("/api/channels/{id}", "Delete a channel without releases.").answers("Channel"),
    get("/api/channels/rule-test", "Hold a version against a rule.")
        .query(&[&[
            ("version", Like("1.0.0"), "The version; must be given."),
            ("versionRange", Text, "A NuGet range."),
            ("preReleaseTag", Text, "A regular expression for the pre-release tag."),
        ]])
        .answers("RuleTest"),
    post("/api/channels/rule-test", "Hold a version against a rule.").takes("Rule").answers("RuleTest"),
    get("/api/projects/{id}/channels", "List the channels of a project.")
        .query(&[NAMED])
        .answers_page("Channel"),
    post("/api/projects/{id}/channels", "Make a channel of a project.")
        .takes("ChannelChange")
        .makes("Channel"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "Environment",
        "A stage that releases are deployed to.",
        &[
            ("Id", Id("Environments")),
            ("Name", Text),
            ("Slug", Text),
            ("Description", Text),
            ("SortOrder", Number),
            ("UseGuidedFailure", Flag),
            ("AllowDynamicInfrastructure", Flag),
            ("ExtensionSettings", Empty),
            ("Type", OneOf(&["Static"])),
            ("SpaceId", Id("Spaces")),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewEnvironment",
        "An environment as it is to be.",
        &[("Name", Like("Staging"))],
        &[("Description", Text), ("SortOrder", Number)],
    ),
    answered(
        "Lifecycle",
        "In which phases releases go from environment to environment.",
        &[
            ("Id", Id("Lifecycles")),
            ("Name", Text),
            ("Description", Text),
            ("SpaceId", Id("Spaces")),
            ("Phases", List(&A("Phase"))),
            ("ReleaseRetentionPolicy", A("Retention")),
            ("TentacleRetentionPolicy", A("Retention")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Phase",
        "A phase of a lifecycle.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("AutomaticDeploymentTargets", List(&Id("Environments"))),
            ("OptionalDeploymentTargets", List(&Id("Environments"))),
            ("MinimumEnvironmentsBeforePromotion", Whole),
            ("IsOptionalPhase", Flag),
        ],
    ),
    answered(
        "Retention",
        "How long things are kept.",
        &[("Unit", Text), ("QuantityToKeep", Whole), ("ShouldKeepForever", Flag)],
    ),
    taken(
        "NewLifecycle",
        "A lifecycle as it is to be. Without phases a release may go to any environment.",
        &[("Name", Like("Careful"))],
        &[("Description", Text), ("Phases", List(&A("NewPhase")))],
    ),
    taken(
        "NewPhase",
        "A phase as it is to be. A minimum of 0 means all its environments.",
        &[("Name", Like("First"))],
        &[
            ("Id", Text),
            ("AutomaticDeploymentTargets", List(&Text)),
            ("OptionalDeploymentTargets", List(&Like("Environments-1"))),
            ("MinimumEnvironmentsBeforePromotion", Whole),
            ("IsOptionalPhase", Flag),
        ],
    ),
    answered(
        "ProjectGroup",
        "Where projects belong together; there is one.",
        &[
            ("Id", Id("ProjectGroups")),
            ("Name", Text),
            ("Description", Text),
            ("EnvironmentIds", Empty),
            ("SpaceId", Id("Spaces")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Project",
        "What is released.",
        &[
            ("Id", Id("Projects")),
            ("Name", Text),
            ("Slug", Text),
            ("Description", Text),
            ("SpaceId", Id("Spaces")),
            ("VariableSetId", Text),
            ("DeploymentProcessId", Text),
            ("LifecycleId", Id("Lifecycles")),
            ("ProjectGroupId", Id("ProjectGroups")),
            ("IsDisabled", Flag),
            ("IncludedLibraryVariableSetIds", List(&Id("LibraryVariableSets"))),
            ("TenantedDeploymentMode", OneOf(&["Untenanted"])),
            ("PersistenceSettings", Object(&[("Type", OneOf(&["Database"]))])),
            ("IsVersionControlled", Flag),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewProject",
        "A project as it is to be.",
        &[("Name", Like("Invoices"))],
        &[
            ("Description", Text),
            ("LifecycleId", Like("Lifecycles-1")),
            ("ProjectGroupId", Like("ProjectGroups-1")),
            ("IncludedLibraryVariableSetIds", List(&Text)),
        ],
    ),
    taken(
        "ProjectChange",
        "What of a project is to be another.",
        &[],
        &[
            ("Name", Like("Orders")),
            ("Description", Text),
            ("LifecycleId", Text),
            ("ProjectGroupId", Text),
            ("IncludedLibraryVariableSetIds", List(&Text)),
            ("IsDisabled", Flag),
        ],
    ),
    answered(
        "Process",
        "The steps of a project, as they were sent.",
        &[
            ("Id", Text),
            ("ProjectId", Id("Projects")),
            ("SpaceId", Id("Spaces")),
            ("Version", Whole),
            ("Steps", List(&Any)),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewProcess",
        "The steps as they are to be, with the version that they were read with.",
        &[("Version", Whole), ("Steps", List(&A("NewStep")))],
        &[],
    ),
    taken(
        "NewStep",
        "A step of a process.",
        &[("Name", Like("Deploy")), ("Actions", List(&A("NewAction")))],
        &[("Id", Text), ("Properties", Map(&Text))],
    ),
    taken(
        "NewAction",
        "What a step does. The package is a property or the package without a name.",
        &[("Name", Like("Update the function"))],
        &[
            ("Id", Text),
            ("ActionType", Text),
            ("Properties", Map(&Text)),
            ("Packages", List(&A("NewActionPackage"))),
        ],
    ),
    taken(
        "NewActionPackage",
        "A package that an action needs.",
        &[("PackageId", Like("Orders"))],
        &[("Name", Text), ("FeedId", Text)],
    ),
    answered(
        "ReleaseTemplate",
        "What a new release needs a version for.",
        &[
            ("DeploymentProcessId", Text),
            ("LastReleaseVersion", Maybe(&Text)),
            ("NextVersionIncrement", Maybe(&Text)),
            ("VersioningPackageStepName", Text),
            ("VersioningPackageReferenceName", Text),
            (
                "Packages",
                List(&Object(&[
                    ("ActionName", Text),
                    ("StepName", Text),
                    ("PackageId", Text),
                    ("FeedId", Text),
                    ("NuGetFeedId", Text),
                    ("FeedName", Text),
                    ("PackageReferenceName", Text),
                    ("IsResolvable", Flag),
                    ("VersionSelectedLastRelease", Maybe(&Text)),
                ])),
            ),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Channel",
        "A line of releases of a project, with rules for their packages.",
        &[
            ("Id", Id("Channels")),
            ("Name", Text),
            ("Description", Text),
            ("ProjectId", Id("Projects")),
            ("LifecycleId", Maybe(&Id("Lifecycles"))),
            ("IsDefault", Flag),
            ("Rules", List(&A("ChannelRule"))),
            ("TenantTags", Empty),
            ("SpaceId", Id("Spaces")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "ChannelRule",
        "Which versions of packages the releases of a channel may have.",
        &[
            ("Id", Text),
            ("VersionRange", Maybe(&Text)),
            ("Tag", Maybe(&Text)),
            ("ActionPackages", List(&Object(&[("DeploymentAction", Text), ("PackageReference", Text)]))),
            ("Actions", List(&Text)),
        ],
    ),
    taken(
        "NewChannel",
        "A channel as it is to be.",
        &[("ProjectId", Like("Projects-1")), ("Name", Like("Hotfixes"))],
        CHANNEL,
    ),
    taken(
        "ChannelChange",
        "A channel of a known project as it is to be.",
        &[("Name", Like("Fixes"))],
        CHANNEL,
    ),
    taken(
        "NewChannelRule",
        "A rule as it is to be.",
        &[("ActionPackages", List(&A("NewRulePackage")))],
        &[("Id", Text), ("VersionRange", Like("[1.0,2.0)")), ("Tag", Text)],
    ),
    taken(
        "NewRulePackage",
        "A package that a rule is for.",
        &[("DeploymentAction", Like("Update the function"))],
        &[("PackageReference", Text)],
    ),
    taken(
        "Rule",
        "A version, and a rule that may not be stored yet.",
        &[("Version", Like("1.0.0"))],
        &[("VersionRange", Like("[1.0,2.0)")), ("PreReleaseTag", Like("^beta"))],
    ),
    answered(
        "RuleTest",
        "Whether a version satisfies a rule; `Errors` tells what cannot be read.",
        &[("Errors", List(&Text)), ("SatisfiesVersionRange", Flag), ("SatisfiesPreReleaseTag", Flag)],
    ),
];

const CHANNEL: &[Field] = &[
    ("Description", Text),
    ("LifecycleId", Text),
    ("IsDefault", Flag),
    ("Rules", List(&A("NewChannelRule"))),
];
