// Drives a server with Octopus's own client, unmodified, and prints what it was told as JSON.
// node typescript-client.mjs URL PACKAGE OTHER-PACKAGE; the key is in OCTOPUS_API_KEY, NODE_PATH says where the
// client is. An environment `CI` with a worker is there before; everything else is made here.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const octopus = require("@octopusdeploy/api-client");

const [instanceURL, packagePath, otherPath] = process.argv.slice(2);
const connect = (apiKey) => octopus.Client.create({ userAgentApp: "octarm-tests", instanceURL, apiKey });
const spaceName = "Default";
const refusal = async (promise) => {
  try {
    return { accepted: await promise };
  } catch (error) {
    return { message: error.message, code: error.StatusCode ?? error.code ?? null };
  }
};
const told = {};

const client = await connect(process.env.OCTOPUS_API_KEY);
told.server = await client.getServerInformation();
told.wrongKey = await refusal(
  connect("API-WRONGWRONGWRONGWRONG").then((other) => new octopus.EnvironmentRepository(other, spaceName).list()),
);

const environments = new octopus.EnvironmentRepository(client, spaceName);
told.created = await environments.create({ Name: "Staging", Description: "made by the client" });
told.again = await refusal(environments.create({ Name: "Staging" }));
told.environments = (await environments.list()).Items.map((item) => item.Name);
told.byName = await environments.getEnvironmentByName("Staging");

const packages = new octopus.PackageRepository(client, spaceName);
const { FailIfExists, IgnoreIfExists, OverwriteExisting } = octopus.OverwriteMode;
told.pushed = await refusal(packages.push([packagePath], FailIfExists));
told.pushedAgain = await refusal(packages.push([otherPath], FailIfExists));
const hash = async () => (await packages.list({ nuGetPackageId: "Orders" })).Items[0].Hash;
told.first = await hash();
told.ignored = await refusal(packages.push([otherPath], IgnoreIfExists));
told.afterIgnored = await hash();
told.replaced = await refusal(packages.push([otherPath], OverwriteExisting));
told.afterReplaced = await hash();
told.package = await packages.get("packages-Orders.1.0.0");

const [lifecycle] = (await new octopus.LifecycleRepository(client, spaceName).list()).Items;
const [group] = (await new octopus.ProjectGroupRepository(client, spaceName).list()).Items;
const projects = new octopus.ProjectRepository(client, spaceName);
told.project = await projects.create(octopus.NewProject("Orders", group, lifecycle));
// The client has no repository of variables.
const path = `~/api/Spaces-1/variables/${told.project.VariableSetId}`;
const set = await client.get(path);
set.Variables.push({ Name: "Lambda.Function", Value: "Orders", Type: "String", Prompt: { Label: "Function" } });
await client.doUpdate(path, set);

const releases = new octopus.ReleaseRepository(client, spaceName);
const release = { spaceName, ProjectName: "Orders", ReleaseVersion: "1.0.0", Packages: ["Orders:1.0.0"] };
told.release = await releases.create(release);
told.releaseAgain = await refusal(releases.create(release));
told.releases = (await releases.listForProject(told.project.Id)).Items.map((item) => item.Version);
told.noProject = await refusal(releases.create({ ...release, ProjectName: "Nothing" }));

const deployments = new octopus.DeploymentRepository(client, spaceName);
const deploy = async (EnvironmentNames, Variables) => {
  const command = { spaceName, ProjectName: "Orders", ReleaseVersion: "1.0.0", EnvironmentNames, Variables };
  const [made] = (await deployments.create(command)).DeploymentServerTasks;
  return made;
};
const waiter = new octopus.ServerTaskWaiter(client, spaceName);
const wait = (id) => waiter.waitForServerTaskToComplete(id, 100, 60_000);
const tasks = new octopus.SpaceServerTaskRepository(client, spaceName);

const good = await deploy(["CI"]);
told.success = await wait(good.ServerTaskId);
told.details = await tasks.getDetails(good.ServerTaskId);
told.raw = await tasks.getRaw(good.ServerTaskId);
told.deployment = await deployments.get(good.DeploymentId);

told.unasked = await refusal(deploy(["CI"], { "Lambda.Functoin": "Nowhere" }));
const bad = await deploy(["CI"], { "Lambda.Function": "Nowhere" });
told.failure = await wait(bad.ServerTaskId);

const waiting = await deploy(["Staging"]);
await new octopus.ServerTaskRepository(client).cancel(waiting.ServerTaskId);
told.cancelled = await wait(waiting.ServerTaskId);
told.noEnvironment = await refusal(deploy(["Nowhere"]));

console.log(JSON.stringify(told));
// The client's waiter leaves its timer of a minute running.
process.exit(0);
