/** An answer that is not a success, in words for people. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		readonly title: string,
		readonly detail: string
	) {
		super(detail || title);
	}
}

export async function toError(response: Response): Promise<ApiError> {
	const text = await response.text();
	try {
		const problem = JSON.parse(text) as { title?: string; detail?: string };
		return new ApiError(response.status, problem.title ?? response.statusText, problem.detail ?? '');
	} catch {
		return new ApiError(response.status, response.statusText, text.slice(0, 500));
	}
}
