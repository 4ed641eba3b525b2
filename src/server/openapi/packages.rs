//! Packages, and what builds say of them.

use super::{
    operation::{Operation, Parameter, delete, get, post},
    shape::{
        Schema,
        Shape::{A, Empty, Flag, Id, Like, List, Map, Maybe, Null, Object, OneOf, Text, Time, Whole},
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
const DOOMED: &[Parameter] = &[("ids", List(&Like("Other.1.0.0")), "What to delete; must be given.")];

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
        &[("PackageId", Like("Orders")), ("Version", Like("1.0.0")), ("OctopusBuildInformation", A("Build"))],
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
        &[("Id", Like("1f2e3d"))],
        &[("Comment", Text), ("LinkUrl", Text)],
    ),
];
