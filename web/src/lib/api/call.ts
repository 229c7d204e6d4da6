/** One call of the API, with path, parameters, body and answer as the document says. */
import type { paths } from './schema';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What the document has under a method of a path. */
type Operation<M extends Method, P extends keyof paths> = Extract<paths[P][M], { responses: unknown }>;

/** Paths that have a method. */
export type PathOf<M extends Method> = {
	[P in keyof paths]: [Operation<M, P>] extends [never] ? never : P;
}[keyof paths];

type Json<Response> = Response extends { content: { 'application/json': infer Body } } ? Body : never;
type Success<Responses> = Responses[keyof Responses & (200 | 201)];

/** What comes back; nothing where it is no JSON. */
export type Answer<M extends Method, P extends PathOf<M>> = Json<Success<Operation<M, P>['responses']>>;

type Part<From, Key extends string> = From extends Record<Key, infer Value> ? { [K in Key]: Value } : unknown;
type Optional<From, Key extends string> = From extends Partial<Record<Key, infer Value>> ? { [K in Key]?: Value } : unknown;
type Taken<From> = From extends { requestBody: { content: { 'application/json': infer Body } } } ? { body: Body } : unknown;

/** What goes out: parameters of the path and of the query, and the body. */
export type Options<M extends Method, P extends PathOf<M>> =
	Operation<M, P> extends { parameters: infer Parameters }
		? Part<Parameters, 'path'> & Optional<Parameters, 'query'> & Taken<Operation<M, P>>
		: Taken<Operation<M, P>>;

/** What may be asked for in the query. */
export type Query<M extends Method, P extends PathOf<M>> =
	Operation<M, P> extends { parameters: { query?: infer Asked } } ? NonNullable<Asked> : never;

/** The address of a call behind the API's own. */
export function address(path: string, parameters: Record<string, unknown> = {}, query: Record<string, unknown> = {}): string {
	const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parameters[name])));
	const asked = new URLSearchParams();
	for (const [name, value] of Object.entries(query)) {
		if (value !== undefined && value !== null && value !== '') asked.set(name, String(value));
	}
	const text = asked.toString();
	return text ? `${filled}?${text}` : filled;
}
