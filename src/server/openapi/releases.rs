//! Packages, build information, releases, deployments and tasks.

use super::{
    operation::{Operation, Parameter, delete, get, post},
    shape::{
        Schema,
        Shape::{self, A, Any, Empty, Flag, Id, List, Map, Maybe, Null, Object, OneOf, Text, Time, Whole},
        answered, taken,
    },
};

const OVERWRITE: &[Parameter] = &[
    (
        "overwriteMode",
        OneOf(&["FailIfExists", "OverwriteExisting", "IgnoreIfExists"]),
        "What to do where it exists; `FailIfExists`.",
    ),
    ("replace", Flag, "The older word for `OverwriteExisting`."),
];
const LATEST: &[Parameter] = &[
    ("filter", Text, "Only those with this in their id."),
    ("latest", Flag, "Only the highest version of each package."),
];
const IDS: &[Parameter] = &[("ids", List(&Text), "Only these ids.")];
const DOOMED: &[Parameter] = &[("ids", List(&Text), "What to delete; must be given.")];
const STATE: Shape =
    OneOf(&["Queued", "Executing", "Cancelling", "Success", "Failed", "Canceled", "TimedOut"]);

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/packages", "List the packages, the highest version of each first.")
        .query(&[LATEST, &[("nuGetPackageId", Text, "Only versions of this package.")]])
        .answers_page("Package"),
    post("/api/packages/raw", "Push a package. 200 where one that exists is kept.")
        .query(&[OVERWRITE])
        .takes_file()
        .answers("Package")
        .statuses(&[201, 200]),
    delete("/api/packages/bulk", "Delete packages that no release needs: all of them or none.")
        .query(&[DOOMED])
        .answers_value(Object(&[("Deleted", List(&A("Package")))])),
    get("/api/packages/{id}", "Show a package, by id or by name and version.").answers("Package"),
    delete("/api/packages/{id}", "Delete a package that no release needs.")
        .answers_value(Object(&[("Deleted", List(&A("Package")))])),
    get("/api/packages/{id}/raw", "The bytes of a package.").answers_bytes("application/octet-stream"),
    get("/api/packages/{id}/{version}/delta-signature", "Never found: send the package whole.").never(),
    post("/api/packages/{id}/{version}/delta", "Never taken: send the package whole.").never(),
    get("/api/build-information", "List what builds say of their packages.")
        .query(&[LATEST, &[("packageId", Text, "Only of this package.")]])
        .answers_page("BuildInformation"),
    post("/api/build-information", "Push what a build says of a package.")
        .query(&[OVERWRITE])
        .takes("NewBuildInformation")
        .makes("BuildInformation"),
    delete("/api/build-information/bulk", "Delete what builds say: all of it or nothing.")
        .query(&[DOOMED])
        .answers_value(Object(&[("Ids", List(&Text))])),
    get("/api/build-information/{id}", "Show what a build says of a package.").answers("BuildInformation"),
    delete("/api/build-information/{id}", "Delete what a build says of a package.")
        .answers_value(Object(&[("Id", Text)])),
    get("/api/releases", "List the releases, the newest first.").query(&[IDS]).answers_page("Release"),
    post("/api/releases", "Make a release of packages that the client has chosen.")
        .query(&[&[("ignoreChannelRules", Flag, "Whether the rules of the channel do not count.")]])
        .takes("NewRelease")
        .makes("Release"),
    post(
        "/api/releases/create/v1",
        "Make a release; packages, version and channel are found where none are named.",
    )
    .takes("CreateRelease")
    .makes("CreatedRelease"),
    get("/api/releases/{id}", "Show a release.").answers("Release"),
    delete("/api/releases/{id}", "Delete a release without deployments.").answers("Release"),
    post("/api/releases/{id}/snapshot-variables", "Copy the variables into the release again.")
        .answers("Release"),
    get("/api/releases/{id}/progression", "Show how far a release has come in its lifecycle.")
        .answers("Progression"),
    get("/api/releases/{id}/missingpackages", "The packages of a release whose bytes are gone.")
        .answers_value(Object(&[("Packages", List(&Object(&[("Id", Text), ("Version", Text)])))])),
    get("/api/releases/{id}/deployments/template", "Show where a release may be deployed to now.")
        .answers("DeploymentTemplate"),
    get("/api/releases/{id}/deployments/preview/{environment}", "Show what a deployment would do.")
        .answers("DeploymentPreview"),
    post("/api/releases/{id}/deployments/previews", "Show what deployments would do.")
        .takes("NewPreviews")
        .answers_list("DeploymentPreview"),
    get("/api/projects/{id}/releases", "List the releases of a project, the newest first.")
        .query(&[&[("searchByVersion", Text, "Only versions with this in them.")]])
        .answers_page("Release"),
    get("/api/projects/{id}/releases/{version}", "Show a release of a project.").answers("Release"),
    get("/api/projects/{id}/channels/{channel}/releases", "List the releases of a channel.")
        .answers_page("Release"),
    get("/api/projects/{id}/progression", "Show the newest releases of a project, and what became of them.")
        .query(&[&[("releaseHistoryCount", Whole, "How many releases; at most 30.")]])
        .answers("ProjectProgression"),
    get("/api/deployments", "List the deployments, the newest first.")
        .query(&[
            IDS,
            &[
                ("projects", List(&Text), "Only of these projects."),
                ("environments", List(&Text), "Only to these environments."),
                ("taskState", List(&STATE), "Only those whose tasks are in these states."),
            ],
        ])
        .answers_page("Deployment"),
    post("/api/deployments", "Deploy a release to an environment.")
        .takes("NewDeployment")
        .makes("Deployment"),
    post(
        "/api/deployments/create/untenanted/v1",
        "Deploy a release to environments: to all of them or to none.",
    )
    .takes("CreateDeployments")
    .makes("CreatedDeployments"),
    post("/api/deployments/create/tenanted/v1", "Never done: this server has no tenants.").never(),
    get("/api/deployments/{id}", "Show a deployment.").answers("Deployment"),
    post("/api/deployments/{id}/resolve", "Say what an unknown end was; its environment is free again.")
        .takes("Resolution")
        .answers("Deployment"),
    get("/api/tasks", "List the tasks, the newest first.")
        .query(&[
            IDS,
            &[
                ("states", List(&STATE), "Only in these states."),
                ("project", List(&Text), "Only of these projects."),
                ("environment", List(&Text), "Only to these environments."),
                ("active", Flag, "Only those that have not ended, or that have."),
                ("running", Flag, "Also those that run."),
                ("name", Text, "Only tasks of this name: `Deploy`."),
            ],
        ])
        .answers_page("Task"),
    get("/api/tasks/{id}", "Show a task.").answers("Task"),
    get("/api/tasks/{id}/details", "Show a task with its log.").answers("TaskDetails"),
    get("/api/tasks/{id}/raw", "The whole log as text.").answers_bytes("text/plain"),
    get(
        "/api/tasks/{id}/log",
        "The log from a byte on, as lines of JSON; waits for more while the task runs.",
    )
    .query(&[&[
        ("from", Whole, "The first byte that is wanted."),
        ("wait", Whole, "How long to wait for it, in milliseconds; at most 30,000."),
    ]])
    .headers(&[
        ("octarm-log-length", "How many bytes the log has."),
        ("octarm-task-state", "The state of the task."),
    ])
    .answers_bytes("application/x-ndjson"),
    post("/api/tasks/{id}/cancel", "Ask that a task ends.").answers("Task"),
    get("/api/tasks/{id}/queued-behind", "List what a task waits for, the nearest first.")
        .answers_page("Task"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "Package",
        "A version of a package.",
        &[
            ("Id", Text),
            ("PackageId", Text),
            ("NuGetPackageId", Text),
            ("Version", Text),
            ("FeedId", Text),
            ("NuGetFeedId", Text),
            ("FileExtension", Text),
            ("PackageSizeBytes", Whole),
            ("Hash", Text),
            ("Title", Text),
            ("Summary", Null),
            ("Description", Null),
            ("Published", Time),
            ("ReleaseNotes", Null),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "BuildInformation",
        "What a build says of a package.",
        &[
            ("Id", Id("BuildInformation")),
            ("PackageId", Text),
            ("Version", Text),
            ("Created", Time),
            ("BuildEnvironment", Maybe(&Text)),
            ("BuildNumber", Maybe(&Text)),
            ("BuildUrl", Maybe(&Text)),
            ("Branch", Maybe(&Text)),
            ("VcsType", Maybe(&Text)),
            ("VcsRoot", Maybe(&Text)),
            ("VcsCommitNumber", Maybe(&Text)),
            ("VcsCommitUrl", Null),
            ("Commits", List(&Object(&[("Id", Text), ("Comment", Maybe(&Text)), ("LinkUrl", Maybe(&Text))]))),
            ("IssueTrackerName", Null),
            ("WorkItems", Empty),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewBuildInformation",
        "What a build says of a package.",
        &[("PackageId", Text), ("Version", Text), ("OctopusBuildInformation", A("Build"))],
        &[],
    ),
    taken(
        "Build",
        "A build in its own words.",
        &[],
        &[
            ("BuildEnvironment", Text),
            ("BuildNumber", Text),
            ("BuildUrl", Text),
            ("Branch", Text),
            ("VcsType", Text),
            ("VcsRoot", Text),
            ("VcsCommitNumber", Text),
            ("Commits", List(&A("Commit"))),
        ],
    ),
    taken(
        "Commit",
        "A change that the build holds.",
        &[("Id", Text)],
        &[("Comment", Text), ("LinkUrl", Text)],
    ),
    answered(
        "Release",
        "A version of a project with pinned packages and a copy of its variables.",
        &[
            ("Id", Id("Releases")),
            ("Version", Text),
            ("ProjectId", Id("Projects")),
            ("ChannelId", Id("Channels")),
            ("SpaceId", Id("Spaces")),
            ("ReleaseNotes", Maybe(&Text)),
            ("Assembled", Time),
            (
                "SelectedPackages",
                List(&Object(&[
                    ("ActionName", Text),
                    ("StepName", Text),
                    ("PackageReferenceName", Text),
                    ("PackageId", Text),
                    ("Version", Text),
                    ("Hash", Text),
                ])),
            ),
            ("ProjectVariableSetSnapshotId", Text),
            ("ProjectDeploymentProcessSnapshotId", Text),
            ("LibraryVariableSetSnapshotIds", List(&Text)),
            ("BuildInformation", List(&A("BuildInformation"))),
            ("CustomFields", Map(&Text)),
            ("IgnoreChannelRules", Flag),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewRelease",
        "The release to make of packages that the client has chosen.",
        &[("ProjectId", Text)],
        &[
            ("Version", Text),
            ("ChannelId", Text),
            ("ReleaseNotes", Text),
            ("IgnoreChannelRules", Flag),
            ("SelectedPackages", List(&A("SelectedPackage"))),
        ],
    ),
    taken(
        "SelectedPackage",
        "The version of an action's package; either name will do.",
        &[],
        &[("ActionName", Text), ("StepName", Text), ("Version", Text)],
    ),
    taken(
        "CreateRelease",
        "The release to make. Packages are written `PackageIdOrStep:version` or `*:version`.",
        &[("ProjectName", Text)],
        &[
            ("ReleaseVersion", Text),
            ("PackageVersion", Text),
            ("Packages", List(&Text)),
            ("ReleaseNotes", Text),
            ("ChannelName", Text),
            ("IgnoreChannelRules", Flag),
            ("IgnoreIfAlreadyExists", Flag),
        ],
    ),
    answered(
        "CreatedRelease",
        "The release that was made.",
        &[("ReleaseId", Id("Releases")), ("ReleaseVersion", Text)],
    ),
    answered(
        "Progression",
        "How far a release has come in its lifecycle.",
        &[
            ("Phases", List(&A("PhaseProgression"))),
            ("NextDeployments", List(&Id("Environments"))),
            ("NextDeploymentsMinimumRequired", Whole),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "PhaseProgression",
        "A phase, and what became of a release in it.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("AutomaticDeploymentTargets", List(&Id("Environments"))),
            ("OptionalDeploymentTargets", List(&Id("Environments"))),
            ("MinimumEnvironmentsBeforePromotion", Whole),
            ("IsOptionalPhase", Flag),
            ("Progress", OneOf(&["Complete", "Current", "Pending"])),
            ("Blocked", Flag),
            ("Deployments", List(&Object(&[("Task", A("Task")), ("Deployment", A("Deployment"))]))),
        ],
    ),
    answered(
        "ProjectProgression",
        "The newest releases of a project, and what became of them by environment.",
        &[
            ("Environments", List(&A("Reference"))),
            ("ChannelEnvironments", Map(&List(&A("Reference")))),
            (
                "Releases",
                List(&Object(&[
                    ("Release", A("Release")),
                    ("Channel", Maybe(&A("Channel"))),
                    ("Deployments", Map(&List(&A("DashboardItem")))),
                    ("NextDeployments", List(&Id("Environments"))),
                ])),
            ),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "DashboardItem",
        "A deployment and its task in short.",
        &[
            ("Id", Id("Deployments")),
            ("DeploymentId", Id("Deployments")),
            ("TaskId", Id("ServerTasks")),
            ("ProjectId", Id("Projects")),
            ("EnvironmentId", Id("Environments")),
            ("ReleaseId", Id("Releases")),
            ("ChannelId", Id("Channels")),
            ("TenantId", Null),
            ("ReleaseVersion", Text),
            ("Created", Time),
            ("QueueTime", Time),
            ("StartTime", Maybe(&Time)),
            ("CompletedTime", Maybe(&Time)),
            ("State", STATE),
            ("IsCompleted", Flag),
            ("HasPendingInterruptions", Flag),
            ("HasWarningsOrErrors", Flag),
            ("ErrorMessage", Maybe(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "DeploymentTemplate",
        "Where a release may be deployed to now, and what has changed since it was made.",
        &[
            (
                "PromoteTo",
                List(&Object(&[("Id", Id("Environments")), ("Name", Text), ("Links", Map(&Text))])),
            ),
            ("TenantPromotions", Empty),
            ("DeploymentNotes", Null),
            ("IsDeploymentProcessModified", Flag),
            ("IsVariableSetModified", Flag),
            ("IsLibraryVariableSetModified", Flag),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "DeploymentPreview",
        "What a deployment to one environment would do.",
        &[
            (
                "StepsToExecute",
                List(&Object(&[
                    ("ActionId", Text),
                    ("ActionName", Text),
                    ("ActionNumber", Text),
                    ("Roles", Empty),
                    ("Machines", List(&A("Reference"))),
                    ("MachineNames", List(&Text)),
                    ("ExcludedMachines", Empty),
                    ("UnavailableMachines", Empty),
                    ("CanBeSkipped", Flag),
                    ("IsDisabled", Flag),
                    ("HasNoApplicableMachines", Flag),
                ])),
            ),
            ("UseGuidedFailureModeByDefault", Flag),
            ("Changes", Empty),
            ("Form", Object(&[("Values", Map(&Text)), ("Elements", List(&A("FormElement")))])),
            ("EnvironmentId", Id("Environments")),
            ("ReleaseId", Id("Releases")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "FormElement",
        "A value that is asked for.",
        &[
            ("Name", Text),
            ("IsValueRequired", Flag),
            (
                "Control",
                Object(&[
                    ("Type", Text),
                    ("Name", Text),
                    ("Label", Maybe(&Text)),
                    ("Description", Maybe(&Text)),
                    ("IsSecure", Flag),
                    ("DisplaySettings", Any),
                ]),
            ),
        ],
    ),
    taken(
        "NewPreviews",
        "The environments to look at.",
        &[("DeploymentPreviews", List(&A("NewPreview")))],
        &[],
    ),
    taken("NewPreview", "An environment to look at.", &[("EnvironmentId", Text)], &[]),
    answered(
        "Deployment",
        "One release to one environment. `IsBlocking` while nobody knows how it ended.",
        &[
            ("Id", Id("Deployments")),
            ("ReleaseId", Id("Releases")),
            ("EnvironmentId", Id("Environments")),
            ("ProjectId", Id("Projects")),
            ("ChannelId", Id("Channels")),
            ("TaskId", Id("ServerTasks")),
            ("ManifestVariableSetId", Text),
            ("DeploymentProcessId", Text),
            ("Name", Text),
            ("Created", Time),
            ("Comments", Text),
            ("DeployedBy", Maybe(&Text)),
            ("FormValues", Map(&Text)),
            ("SkipActions", Empty),
            ("SpecificMachineIds", Empty),
            ("ExcludedMachineIds", Empty),
            ("UseGuidedFailure", Flag),
            ("ForcePackageDownload", Flag),
            ("TenantId", Null),
            ("SpaceId", Id("Spaces")),
            ("IsBlocking", Flag),
            ("ResolvedAs", Maybe(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewDeployment",
        "The deployment to make. Values that are asked for go by the id of the variable.",
        &[("ReleaseId", Text), ("EnvironmentId", Text)],
        &[("Comments", Text), ("FormValues", Map(&Text))],
    ),
    taken(
        "CreateDeployments",
        "The deployments to make. Values that are asked for go by the name of the variable.",
        &[("ProjectName", Text), ("ReleaseVersion", Text), ("EnvironmentNames", List(&Text))],
        &[("Comments", Text), ("UpdateVariableSnapshot", Flag), ("Variables", Map(&Text))],
    ),
    answered(
        "CreatedDeployments",
        "The deployments that were made, one for each environment.",
        &[(
            "DeploymentServerTasks",
            List(&Object(&[("DeploymentId", Id("Deployments")), ("ServerTaskId", Id("ServerTasks"))])),
        )],
    ),
    taken("Resolution", "What an unknown end was.", &[("As", OneOf(&["success", "failed"]))], &[]),
    answered(
        "Task",
        "What runs a deployment.",
        &[
            ("Id", Id("ServerTasks")),
            ("SpaceId", Id("Spaces")),
            ("Name", OneOf(&["Deploy"])),
            ("Description", Text),
            ("State", STATE),
            ("WaitingReason", Maybe(&Text)),
            ("IsCompleted", Flag),
            ("FinishedSuccessfully", Flag),
            ("HasPendingInterruptions", Flag),
            ("HasWarningsOrErrors", Flag),
            ("HasBeenPickedUpByProcessor", Flag),
            ("CanRerun", Flag),
            ("QueueTime", Time),
            ("StartTime", Maybe(&Time)),
            ("CompletedTime", Maybe(&Time)),
            ("LastUpdatedTime", Time),
            ("Duration", Maybe(&Text)),
            ("ErrorMessage", Maybe(&Text)),
            ("ServerNode", Maybe(&Text)),
            ("ProjectId", Id("Projects")),
            ("EnvironmentId", Id("Environments")),
            ("Arguments", Object(&[("DeploymentId", Id("Deployments"))])),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "TaskDetails",
        "A task with its log.",
        &[
            ("Task", A("Task")),
            ("Progress", Object(&[("ProgressPercentage", Whole), ("EstimatedTimeRemaining", Null)])),
            ("PhysicalLogSize", Whole),
            ("ActivityLogs", List(&A("Activity"))),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Activity",
        "A part of what a task did.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("Status", OneOf(&["Pending", "Running", "Success", "Failed", "Canceled"])),
            ("Started", Maybe(&Time)),
            ("Ended", Maybe(&Time)),
            ("ShowAtSummaryLevel", Flag),
            ("ProgressPercentage", Whole),
            ("ProgressMessage", Text),
            ("Children", List(&A("Activity"))),
            (
                "LogElements",
                List(&Object(&[
                    ("Category", OneOf(&["Verbose", "Info", "Warning", "Error"])),
                    ("OccurredAt", Time),
                    ("MessageText", Text),
                    ("Detail", Text),
                    ("Number", Whole),
                ])),
            ),
        ],
    ),
];
