// Everything shown needs a token, which only the browser has.
export const ssr = false;
export const prerender = false;
