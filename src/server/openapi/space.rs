//! The root, who is asking, keys, feeds, and what this server does not have.

use super::{
    operation::{NAMED, Operation, delete, get, post, put},
    shape::{
        Schema,
        Shape::{self, Any, Empty, Flag, Id, Like, List, Map, Maybe, Null, OneOf, Text, Time, Whole},
        answered, taken,
    },
};

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api", "What this server is, and where its resources are.").answers("Root"),
    get("/api/openapi.json", "This document.").open().answers_value(Map(&Any)),
    get("/api/Spaces-1", "Where the resources of a space are.").answers("SpaceRoot"),
    get("/api/spaces", "List the spaces that the key reaches.").query(&[NAMED]).answers_page("Space"),
    post("/api/spaces", "Make a space, with a lifecycle, a project group and a worker pool of its own.")
        .takes("NewSpace")
        .makes("Space"),
    get("/api/spaces/all", "All spaces that the key reaches.").answers_list("Space"),
    get("/api/spaces/{id}", "Show a space, by id or name.").answers("Space"),
    put("/api/spaces/{id}", "Change a space: stop its tasks, or let them go on.")
        .takes("SpaceChange")
        .answers("Space"),
    delete("/api/spaces/{id}", "Delete a space that is stopped and has no machines, with all that is in it.")
        .answers("Space"),
    get("/api/users", "List the one user: whoever has a key.").query(&[NAMED]).answers_page("User"),
    get("/api/users/me", "Show who is asking.").answers("User"),
    get("/api/users/{id}", "Show the user.").answers("User"),
    get("/api/users/{id}/spaces", "The spaces that the key reaches.").answers_list("Space"),
    get("/api/apikeys", "List the API keys, without the keys themselves.")
        .query(&[NAMED])
        .answers_page("ApiKey"),
    post("/api/apikeys", "Make an API key. The answer is the only one that holds it.")
        .takes("NewApiKey")
        .makes("ApiKey"),
    delete("/api/apikeys/{id}", "Delete an API key: it stops working now.").answers("ApiKey"),
    get("/api/feeds", "List the one feed: the server's own packages.")
        .query(&[NAMED, &[("feedType", Text, "Only feeds of this type: `BuiltIn`.")]])
        .answers_page("Feed"),
    get("/api/feeds/all", "The one feed in a list.").answers_list("Feed"),
    get("/api/feeds/{id}", "Show the feed.").answers("Feed"),
    get("/api/feeds/{id}/packages", "List the packages of the feed, each in its highest version.")
        .query(&[&[("term", Text, "Only packages with this in their id.")]])
        .answers_page("FeedPackage"),
    get("/api/feeds/{id}/packages/versions", "List the versions of a package, the highest first.")
        .query(&[&[
            ("packageId", Like("Orders"), "Whose versions; must be given."),
            ("includePreRelease", Flag, "`false` leaves pre-releases out."),
            ("versionRange", Like("[1.0,2.0)"), "Only versions in this NuGet range."),
            ("preReleaseTag", Text, "Only versions whose pre-release tag this regular expression finds."),
            ("filter", Text, "Only versions with this in them."),
        ]])
        .answers_page("PackageVersion"),
    get("/api/tenants", "List the tenants: there are none.").answers_page("Absent"),
    get("/api/tenants/all", "All tenants: there are none.").answers_list("Absent"),
    get("/api/tenants/{id}", "Never found: this server has no tenants.").never(),
    get("/api/interruptions", "List the interruptions: there are none.").answers_page("Absent"),
    get("/api/artifacts", "List the artifacts: there are none.").answers_page("Absent"),
    get("/api/events", "List the events: there are none.").answers_page("Absent"),
    get("/api/runbooks", "List the runbooks: there are none.").answers_page("Absent"),
    get("/api/runbooks/all", "All runbooks: there are none.").answers_list("Absent"),
    get("/api/projects/{id}/runbooks", "List the runbooks of a project: there are none.")
        .answers_page("Absent"),
];

const PERMISSIONS: Shape = OneOf(&["read", "publish", "deploy", "administer"]);

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "Root",
        "What this server is. `Version` is the version of Octopus whose clients it serves.",
        &[
            ("Application", Text),
            ("Version", Text),
            ("ApiVersion", Text),
            ("InstallationId", Text),
            ("OctarmVersion", Text),
            ("Links", Map(&Text)),
        ],
    ),
    answered("SpaceRoot", "Where the resources of the space are.", &[("Id", Id("Spaces")), ("Links", Map(&Text))]),
    answered(
        "Space",
        "A part of the server that knows nothing of the others.",
        &[
            ("Id", Id("Spaces")),
            ("Name", Text),
            ("Slug", Text),
            ("Description", Text),
            ("IsDefault", Flag),
            ("TaskQueueStopped", Flag),
            ("SpaceManagersTeams", List(&Text)),
            ("SpaceManagersTeamMembers", List(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewSpace",
        "A space as it is to be.",
        &[("Name", Like("Team A"))],
        &[("Description", Text), ("TaskQueueStopped", Flag)],
    ),
    taken(
        "SpaceChange",
        "What is to become of a space. A space that is stopped hands out no deployment.",
        &[],
        &[("Name", Like("Team A")), ("Description", Text), ("TaskQueueStopped", Flag)],
    ),
    answered(
        "User",
        "Whoever has a key.",
        &[
            ("Id", Id("Users")),
            ("Username", Text),
            ("DisplayName", Text),
            ("IsActive", Flag),
            ("IsService", Flag),
            ("IsRequestor", Flag),
            ("CanPasswordBeEdited", Flag),
            ("EmailAddress", Null),
            ("Identities", Empty),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "ApiKey",
        "A credential of a person or a pipeline. The key itself is in the answer that makes it and nowhere else.",
        &[
            ("Id", Id("ApiKeys")),
            ("Name", Text),
            ("Hint", Text),
            ("Permissions", List(&PERMISSIONS)),
            ("Space", Maybe(&Id("Spaces"))),
            ("Environments", List(&Id("Environments"))),
            ("Created", Time),
            ("Expires", Maybe(&Time)),
            ("Links", Map(&Text)),
        ],
    )
    .sometimes(&[("ApiKey", Text)]),
    taken(
        "NewApiKey",
        "The credential to make. Without a space and without environments it reaches all; without days it stays.",
        &[("Name", Like("build")), ("Permissions", Shape::Some(&PERMISSIONS))],
        &[("Space", Like("Spaces-1")), ("Environments", List(&Like("Environments-1"))), ("Days", Whole)],
    ),
    answered(
        "Feed",
        "The server's own packages as a feed.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("Slug", Text),
            ("FeedType", OneOf(&["BuiltIn"])),
            ("SpaceId", Id("Spaces")),
            ("PackageAcquisitionLocationOptions", List(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "FeedPackage",
        "A package of the feed in its highest version.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("Description", Null),
            ("LatestVersion", Text),
            ("FeedId", Text),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "PackageVersion",
        "A version of a package of the feed.",
        &[
            ("Id", Text),
            ("PackageId", Text),
            ("Version", Text),
            ("FeedId", Text),
            ("Published", Time),
            ("ReleaseNotes", Null),
            ("SizeBytes", Whole),
            ("Title", Text),
            ("Links", Map(&Text)),
        ],
    ),
    answered("Absent", "What this server does not have; no list holds one.", &[("Id", Text)]),
    answered("Problem", "What went wrong, for people.", &[("ErrorMessage", Text), ("Errors", List(&Text))]),
    answered("Reference", "An id and its name.", &[("Id", Text), ("Name", Text)]),
];
