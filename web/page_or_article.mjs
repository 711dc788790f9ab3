// The page in one file, which is two documents: the address says whether the page or the article is on show. The script in
// the head of that file has read it (scripts/site/build_site.mjs), so that the page is not seen before the article.

if ('article' in document.documentElement.dataset) import('./learn/in_one_file.mjs');
else import('./page.mjs');
