/** What the server says over HTTP. */
export * from './types';
export { ApiError } from './error';
export { Api, type LogPiece } from './client';
