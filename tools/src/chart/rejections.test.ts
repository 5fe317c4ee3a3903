import { describe, expect, test } from "vitest";
import { renderChart } from "../chart.ts";
import { helms } from "./helm3.ts";

/** What helm says to values that cannot be meant. */
const REJECTIONS: readonly { readonly set: readonly string[]; readonly says: readonly string[] }[] = [
  {
    set: ["mic.replica=3"],
    says: ["additional properties 'replica' not allowed", "invalid propertyName 'replica'", "'replicas'"],
  },
  { set: ["forceNameSpaced=true"], says: ["additional properties 'forceNameSpaced' not allowed", "'forceNamespaced'"] },
  { set: ["nmi.leaderElection.name=x"], says: ["at '/nmi': additional properties 'leaderElection' not allowed"] },
  { set: ["operationMode=Managed"], says: ["at '/operationMode': value must be one of 'standard', 'managed'"] },
  {
    set: ["forceNamespaced=yes"],
    says: ["at '/forceNamespaced': value must be one of true, false, 'true', 'false', ''"],
  },
  { set: ["mic.probePort=http"], says: ["at '/mic/probePort'"] },
  { set: ["nmi.prometheusPort=70000"], says: ["at '/nmi/prometheusPort'"] },
  { set: ["mic.syncRetryDuration=3600"], says: ["at '/mic/syncRetryDuration'"] },
  { set: ["mic.immutableUserMSIs=one"], says: ["at '/mic/immutableUserMSIs': got string, want array"] },
  {
    set: ["nmi.terminationGracePeriodSeconds=30"],
    says: ["at '/nmi/terminationGracePeriodSeconds': minimum: got 30, want 75"],
  },
  { set: ["mic.extraArgs[0]=verbose"], says: ["at '/mic/extraArgs/0': 'verbose' does not match pattern"] },
  { set: ["azureIdentities.a.clientId=x"], says: ["additional properties 'clientId' not allowed", "'clientID'"] },
  { set: ["rbac.secrets[0].name=x"], says: ["at '/rbac/secrets/0': additional properties 'name' not allowed"] },
  {
    set: ["image.repository=mcr.microsoft.com/oss/azure/aad-pod-identity"],
    says: [
      "image.repository:",
      "holds aad-pod-identity's images",
      "remove image.repository, mic.image, mic.tag, nmi.image and nmi.tag",
    ],
  },
  { set: ["mic.tag=v1.8.17"], says: ['mic.tag: "v1.8.17" is a version of aad-pod-identity'] },
  { set: ["nmi.tag=v1.6.0"], says: ['nmi.tag: "v1.6.0" is a version of aad-pod-identity'] },
  {
    set: ["rbac.pspEnabled=true"],
    says: ["rbac.pspEnabled: PodSecurityPolicies are gone since Kubernetes 1.25; remove it"],
  },
  {
    set: ["rbac.secrets[0].namespace=a", "rbac.secrets[0].names={}"],
    says: ["at '/rbac/secrets/0/names/0': minLength: got 0, want 1"],
  },
  {
    set: ["rbac.secrets[0].namespace=a,rbac.secrets[0].names[0]=x,rbac.secrets[1].namespace=a"],
    says: ["rbac.secrets: there are two entries for the namespace a; put the names of both into one"],
  },
  { set: ["nmi.stateDir=run/podid"], says: ["at '/nmi/stateDir': 'run/podid' does not match pattern"] },
  { set: ["nmi.kubeletConfig="], says: ["at '/nmi/kubeletConfig': '' does not match pattern"] },
  { set: ["mic.cloudConfig="], says: ["mic.cloudConfig: MIC has no credentials", "adminsecret"] },
  { set: ["rbac.secrets[0].names[0]=x"], says: ["rbac.secrets: each entry needs a namespace"] },
  {
    set: ["mic.probePort=8000,mic.prometheusPort=8000"],
    says: ["mic.prometheusPort and mic.probePort are both 8000; give two ports"],
  },
  // One of the two by its default.
  { set: ["mic.probePort=8888"], says: ["mic.prometheusPort and mic.probePort are both 8888; give two ports"] },
  { set: ["nmi.prometheusPort=8085"], says: ["nmi.prometheusPort and nmi.probePort are both 8085; give two ports"] },
  {
    set: ["mic.podDisruptionBudget.minAvailable=1,mic.podDisruptionBudget.maxUnavailable=1"],
    says: ["mic.podDisruptionBudget: minAvailable and maxUnavailable exclude each other"],
  },
  { set: ["nmi.startupCanary=true"], says: ["nmi.startupCanary: there is no taint that it could wait for"] },
  {
    set: ["nmi.hostNetworkAllow[0]=system.slice"],
    says: ["nmi.hostNetworkAllow:", "set nmi.interceptHostNetwork: true"],
  },
  {
    set: ["adminsecret.cloud=AzurePublicCloud"],
    says: ["adminsecret.subscriptionID: A valid subscription id is required"],
  },
  { set: ["azureIdentities[0].clientID=x"], says: ["azureIdentities: each entry of a list needs a name"] },
  { set: ["test.selector=x"], says: ["test.subscriptionID: helm test needs it"] },
  // As aad-pod-identity's chart said it.
  { set: ["azureIdentities.a.type=0"], says: ["clientID is required!"] },
  { set: ["azureIdentities.a.clientID=x"], says: ["resourceID is required!"] },
  { set: ["azureIdentities.a.clientID=x,azureIdentities.a.type=1"], says: ["tenantID is required!"] },
  {
    set: ["azureIdentities.a.clientID=x,azureIdentities.a.type=1,azureIdentities.a.tenantID=t"],
    says: ["clientPassword is required!"],
  },
  { set: ["azureIdentities.a.clientID=x,azureIdentities.a.resourceID=r"], says: ["binding.name is required!"] },
  {
    set: ["azureIdentities.a.clientID=x,azureIdentities.a.resourceID=r,azureIdentities.a.binding.name=b"],
    says: ["binding.selector is required!"],
  },
];

describe.for(helms())("$name", ({ path, missing }) => {
  describe.skipIf(path === undefined)(`refuses${path === undefined ? missing : ""}`, () => {
    test.for(REJECTIONS)("$set", async ({ set, says }) => {
      const said = await renderChart({ helm: path ?? "", set }).then(
        () => "nothing",
        (error: unknown) => String(error),
      );
      for (const part of says) expect(said).toContain(part);
    });

    test.for([
      ["admissionPolicies.resourceIDs=true", "admissionPolicies: they need Kubernetes 1.30, and this is v1.29.0"],
      [
        "nmi.startupTaint=podid.dev/agent-not-ready",
        "nmi.startupTaint: it needs a ValidatingAdmissionPolicy, that is Kubernetes 1.30, and this is v1.29.0",
      ],
    ] as const)("%s on a cluster without policies", async ([set, says]) => {
      await expect(renderChart({ helm: path ?? "", set: [set], kubeVersion: "1.29.0" })).rejects.toThrow(says);
    });

    test("a cluster that is too old", async () => {
      await expect(renderChart({ helm: path ?? "", kubeVersion: "1.24.0" })).rejects.toThrow(
        "incompatible with Kubernetes",
      );
    });
  });
});
