// Where the article is: on the site, or in one file with everything that it needs (in_one_file.mjs).

/** site: the folder of the site, from the article; alone: there is nothing beside it */
export const place = { site: '../', alone: false };
