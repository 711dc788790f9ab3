// The text of snippet.mjs without what it says to tools. The build fills it in: where there is no build, there is none.

export default '';
