import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import type { NodeGroup } from "@podid/crd-types";
import type { Arm } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import type { ArmProblem } from "../arm-problem.ts";
import type { ContractCase } from "./contract.ts";

/** An {@link Arm} with machines behind it. */
export interface ArmWorld {
  readonly arm: Arm;
  /** Makes a machine with that `identity.type` (None or SystemAssigned) and returns it. */
  readonly machine: (kind: NodeGroup["kind"], type: "None" | "SystemAssigned") => Promise<NodeGroup>;
  /** Makes an identity and returns its ARM id, not in lower case. */
  readonly identity: () => Promise<string>;
  /** ARM id of an identity that does not exist. */
  readonly missingIdentity: () => string;
  /** A machine that does not exist. */
  readonly missingMachine: () => NodeGroup;
  readonly setProvisioningState: (group: NodeGroup, state: string) => Promise<void>;
}

/** What every {@link Arm} does. */
export const ARM_CONTRACT: readonly ContractCase<ArmWorld>[] = [
  ...(["virtualMachine", "virtualMachineScaleSet"] as const).flatMap(casesFor),
  {
    name: "a machine that does not exist is gone",
    async check({ arm, missingMachine }) {
      await fails(arm.read(missingMachine()), "gone");
      await fails(arm.patch(missingMachine(), { type: "None" }), "gone");
    },
  },
];

function casesFor(kind: NodeGroup["kind"]): ContractCase<ArmWorld>[] {
  return [
    {
      name: `${kind}: attaches, keeps what is not named, and detaches in any casing`,
      async check({ arm, machine, identity }: ArmWorld) {
        const group = await machine(kind, "None");
        const [a, b] = [await identity(), await identity()];
        await arm.patch(group, { type: "UserAssigned", userAssignedIdentities: { [a]: {} } });
        const both = await arm.patch(group, {
          type: "UserAssigned",
          userAssignedIdentities: { [b.toLowerCase()]: {} },
        });
        deepEqual([...both.attached.keys()].sort(), [a.toLowerCase(), b.toLowerCase()].sort());
        ok([...both.attached.values()].every(({ clientId }) => clientId !== undefined));
        const one = await arm.patch(group, {
          type: "UserAssigned",
          userAssignedIdentities: { [a.toUpperCase()]: null },
        });
        deepEqual([...one.attached.keys()], [b.toLowerCase()]);
        deepEqual((await arm.read(group)).attached, one.attached);
      },
    },
    {
      name: `${kind}: the last identity goes with the type, the system-assigned one stays`,
      async check({ arm, machine, identity }: ArmWorld) {
        for (const type of ["None", "SystemAssigned"] as const) {
          const group = await machine(kind, type);
          const a = await identity();
          const system = type === "SystemAssigned";
          const attached = await arm.patch(group, {
            type: system ? "SystemAssigned, UserAssigned" : "UserAssigned",
            userAssignedIdentities: { [a]: {} },
          });
          equal(attached.systemAssigned, system);
          const after = await arm.patch(group, { type });
          deepEqual([after.attached.size, after.systemAssigned], [0, system]);
        }
      },
    },
    {
      name: `${kind}: the etag changes with every change and guards it`,
      async check({ arm, machine, identity }: ArmWorld) {
        const group = await machine(kind, "None");
        const [a, b] = [await identity(), await identity()];
        const before = await arm.read(group);
        const after = await arm.patch(
          group,
          { type: "UserAssigned", userAssignedIdentities: { [a]: {} } },
          { ifMatch: before.etag },
        );
        notEqual(after.etag, before.etag);
        await fails(
          arm.patch(group, { type: "UserAssigned", userAssignedIdentities: { [b]: {} } }, { ifMatch: before.etag }),
          "conflict",
        );
        deepEqual([...(await arm.read(group)).attached.keys()], [a.toLowerCase()]);
      },
    },
    {
      name: `${kind}: a missing identity is refused by name and nothing is attached`,
      async check({ arm, machine, identity, missingIdentity }: ArmWorld) {
        const group = await machine(kind, "None");
        const [good, bad] = [await identity(), missingIdentity()];
        const problem = await fails(
          arm.patch(group, { type: "UserAssigned", userAssignedIdentities: { [good]: {}, [bad]: {} } }),
          "identities-refused",
        );
        ok(problem.kind === "identities-refused" && problem.identities.includes(bad.toLowerCase()));
        equal((await arm.read(group)).attached.size, 0);
      },
    },
    {
      name: `${kind}: more than 150 entries are too many`,
      async check({ arm, machine, identity }: ArmWorld) {
        const group = await machine(kind, "None");
        const ids = await Promise.all(Array.from({ length: 151 }, () => identity()));
        const patch = (some: readonly string[]) =>
          arm.patch(group, {
            type: "UserAssigned",
            userAssignedIdentities: Object.fromEntries(some.map((id) => [id, {}])),
          });
        await rejects(patch(ids), ArmError);
        equal((await patch(ids.slice(0, 150))).attached.size, 150);
      },
    },
    {
      name: `${kind}: an accepted operation has a name that anybody can follow it by`,
      async check({ arm, machine, identity }: ArmWorld) {
        const group = await machine(kind, "None");
        const a = await identity();
        let operation: string | undefined;
        await arm.patch(
          group,
          { type: "UserAssigned", userAssignedIdentities: { [a]: {} } },
          { onAccepted: (name) => (operation = name) },
        );
        ok(operation !== undefined);
        deepEqual([...(await arm.resume(group, operation)).attached.keys()], [a.toLowerCase()]);
        await fails(arm.resume(group, operation.replace(/.(?=(\?|$))/, "-unknown")), "gone");
      },
    },
    {
      name: `${kind}: lists the machines of a resource group with their identities`,
      async check({ arm, machine, identity }: ArmWorld) {
        const [one, two] = [await machine(kind, "None"), await machine(kind, "None")];
        const a = await identity();
        await arm.patch(one, { type: "UserAssigned", userAssignedIdentities: { [a]: {} } });
        const states = new Map((await arm.list(one)).map((state) => [state.group.key, state]));
        deepEqual(states.get(one.key), await arm.read(one));
        equal(states.get(two.key)?.attached.size, 0);
        ok([...states.values()].every(({ group }) => group.kind === kind));
      },
    },
    {
      name: `${kind}: the provisioning state is read`,
      async check({ arm, machine, setProvisioningState }: ArmWorld) {
        const group = await machine(kind, "None");
        await setProvisioningState(group, "Deleting");
        equal((await arm.read(group)).provisioningState, "Deleting");
      },
    },
    {
      name: `${kind}: machines tell their own unique id`,
      async check({ arm, machine }: ArmWorld) {
        const [a, b] = [await machine(kind, "None"), await machine(kind, "None")];
        const [one, two] = [await arm.read(a), await arm.read(b)];
        ok(one.uniqueId !== undefined && one.uniqueId !== two.uniqueId);
      },
    },
  ];
}

async function fails(call: Promise<unknown>, kind: ArmProblem["kind"]): Promise<ArmProblem> {
  let problem: ArmProblem | undefined;
  await rejects(call, (error) => {
    ok(error instanceof ArmError, String(error));
    equal(error.problem.kind, kind, error.message);
    problem = error.problem;
    return true;
  });
  if (problem === undefined) throw new Error("unreachable");
  return problem;
}
