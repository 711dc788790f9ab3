// What stands around the article, in each language.

/** @type {Record<'en' | 'zh', Record<string, string>>} */
export const WORDS = {
  en: {
    lang: 'en',
    title: 'Learn diffusion',
    description: 'Diffusion and guidance, explained by figures that compute: a real network answers in the page.',
    lead: 'How a network draws: noise, the way back, the class, and guidance with its price. Nothing here was prepared: in every figure but one, which needs none, a real network answers what you do, in this page, offline as well. Nothing is sent.',
    skip: 'Skip to the article',
    languages: 'Language',
    contents: 'Contents',
    model: 'The network of all figures',
    lecture: 'Lecture mode',
    formula: 'Formula',
    slides: 'Slides',
    doodles: 'Doodles (2.9 million weights, 1.9 MB)',
    digits: 'Digits (0.6 million weights, 0.4 MB: for slow machines)',
    noscript: 'The figures need JavaScript: the network runs in your browser.',
  },
  zh: {
    lang: 'zh-Hans',
    title: '学懂扩散模型',
    description: '用会计算的图讲解扩散与引导：真正的神经网络就在网页里回答你。',
    lead: '神经网络怎样画图：加噪、回程、类别、引导，以及引导的代价。这里没有一张事先备好的图：除了一幅不需要网络的图，每幅图里都有一个真正的网络在本页中回答你的操作，断网也行。不会发送任何数据。',
    skip: '跳到正文',
    languages: '语言',
    contents: '目录',
    model: '所有图使用的网络',
    lecture: '讲课模式',
    formula: '公式',
    slides: '幻灯片',
    doodles: '涂鸦（290 万个权重，1.9 MB）',
    digits: '手写数字（60 万个权重，0.4 MB，适合较慢的设备）',
    noscript: '图需要 JavaScript：网络在你的浏览器中运行。',
  },
};
