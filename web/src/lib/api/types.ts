/** The names of the wire contract, from the server's own document. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Archive = Schemas['Archive'];
export type AuditEntry = Schemas['AuditEntry'];
export type ChangeUser = Schemas['ChangeUser'];
export type Channel = Schemas['Channel'];
export type Check = Schemas['Check'];
export type CheckFile = Schemas['CheckFile'];
export type CveStage = Schemas['CveStage'];
export type Delivery = Schemas['Delivery'];
export type Fleet = Schemas['Fleet'];
export type FleetCve = Schemas['FleetCve'];
export type FleetUpdate = Schemas['FleetUpdate'];
export type Gate = Schemas['Gate'];
export type Group = Schemas['Group'];
export type Host = Schemas['Host'];
export type HostDetail = Schemas['HostDetail'];
export type HostReport = Schemas['HostReport'];
export type Import = Schemas['Import'];
export type Job = Schemas['Job'];
export type JobStatus = Schemas['JobStatus'];
export type JobSummary = Schemas['JobSummary'];
export type Kernel = Schemas['Kernel'];
export type Keys = Schemas['Keys'];
export type Limit = Schemas['Limit'];
export type NewToken = Schemas['NewToken'];
export type NewUpdate = Schemas['NewUpdate'];
export type NewWebhook = Schemas['NewWebhook'];
export type PackageInfo = Schemas['PackageInfo'];
export type Progress = Schemas['Progress'];
export type Promotion = Schemas['Promotion'];
export type ReportEvent = Schemas['ReportEvent'];
export type Role = Schemas['Role'];
export type Rollout = Schemas['Rollout'];
export type RolloutState = Schemas['RolloutState'];
export type Step = Schemas['Step'];
export type Tally = Schemas['Tally'];
export type Target = Schemas['Target'];
export type TargetStatus = Schemas['TargetStatus'];
export type TokenInfo = Schemas['TokenInfo'];
export type Trouble = Schemas['Trouble'];
export type Update = Schemas['Update'];
export type UpdateSummary = Schemas['UpdateSummary'];
export type User = Schemas['User'];
export type WavePlan = Schemas['WavePlan'];
export type Webhook = Schemas['Webhook'];
export type WebhookEvent = Schemas['WebhookEvent'];
export type WebhookSecrets = Schemas['WebhookSecrets'];
export type Whoami = Schemas['Whoami'];
export type Worker = Schemas['Worker'];

/** How far an update has got, in this order. */
export const CHANNELS: Channel[] = ['edge', 'candidate', 'stable'];
