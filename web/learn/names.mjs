// The classes of a model as choices of a figure, with Chinese names for what the shipped models draw.

/** @typedef {import('./figure.mjs').Context} Context */

/** @type {Record<string, string>} */
const CHINESE = {
  airplane: '飞机', apple: '苹果', banana: '香蕉', bicycle: '自行车', bird: '鸟', book: '书', butterfly: '蝴蝶', cactus: '仙人掌', car: '汽车',
  cat: '猫', clock: '钟', dog: '狗', face: '脸', fish: '鱼', flower: '花', guitar: '吉他', house: '房子', moon: '月亮', rainbow: '彩虹',
  snail: '蜗牛', snowman: '雪人', star: '星星', sun: '太阳', tree: '树', umbrella: '雨伞',
};

/** @param {Context} context */
export const nameOf = ({ model, language }, label = 0) => (language === 'zh' && CHINESE[model.labels[label]]) || model.labels[label];

/** A choice of the class. @param {Context} context @param {string} text @param {string} [first] name of the class that it begins with */
export function classChoice(context, text, first = 'cat') {
  const { labels } = context.model;
  return /** @type {const} */ ({
    kind: 'choice', name: 'label', text, initial: String(Math.max(0, labels.indexOf(first))),
    options: labels.map((_, label) => ({ value: String(label), text: nameOf(context, label), name: labels[label] })),
  });
}
