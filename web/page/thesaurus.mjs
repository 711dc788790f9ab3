// Other words for the classes of the site's models, and groups to find them in. Models of others have classes of their
// own: what is not named here is found by its name, and stands under OTHERS.

/** Title -> names of classes. @type {Record<string, string>} */
const GROUPS = {
  'Mammals': 'aardvark, ape, bat, bear, beluga, capybara, cat, cow, dog, fox, goat, horse, kangaroo, moose, mouse, orangutan, orca, otter, panda, rabbit, tiger, whale, living whale, zebra, unicorn, werewolf, yeti, bigfoot',
  'Birds, fish and others': 'bird, chameleon, chicken, crab, crane, dinosaur, duck, rubber duck, flamingo, frog, goldfish, grouper, jellyfish, mosquito, oyster, owl, pufferfish, raven, scorpion, shark, green snake, shrimp tempura, snowman, squid',
  'Plants and landscapes': 'bonsai, clover, cloud, fir tree, flower, igloo, island, lightning bolt, maze, moon, mountain, mushroom, peyote, pyramid, rainbow, rock, rose bud, saguaro, sand castle, sunset, tornado, volcano, wave, weed, smile, heart',
  'Food and drink': 'banana, beer, beet, blueberry, bubble gum, burger, cake, canned ham, cheese, cherry, chilli, chips, chocolate, coffee bean, cookie, cotton candy, doughnut, egg, garlic, hot dog, ice pop, ketchup, macaroni, milk, mustard, nigiri, noodles, onion, peanut, pickle, pie, pineapple, pizza, pork bun, potato, pumpkin, sandwich, soda, spaghetti, steak, taco, toaster, watermelon, wine, wine barrel, shower',
  'Clothes': 'backpack, bag, beanie, boot, boxing glove, chef\'s hat, crown, queen\'s crown, big glasses, hanger, hard hat, crocodile hat, clutch, high heel, lipstick, retainer, ring, skateboard, wallet, watch, wizard\'s hat',
  'Things of the house': 'book, box, chain, chainsaw, clock, couch, crystal ball, dictionary, drill, earth, fan, fence, fire hydrant, gavel, hair, house, jewelled egg, lint, lock, mailbox, microwave, mirror, mixer, mug, outlet, paintbrush, paperclip, pencil, piano, piggy bank, pill, pillow, pipe, cotton ball, saw, set square, snow globe, sponge, stapler, toilet paper, tooth, toothbrush, trash can, treasure chest, vent, wall, wall safe, washing machine, weight, index card, colour circles, cordless phone',
  'Machines and media': 'airplane, bagpipe, bar chart, boombox, calculator, calendar, camcorder, car, cash register, cassette tape, compact disc, computer chip, cone, handheld console, factory, fax machine, film roll, film strip, helicopter, laptop, ski lift, monitor, pirate ship, plane, rangefinder, road, robot, sailboat, satellite, snowmobile, taxi, tuba, UFO, vending machine, turing',
  'Sports, games and signs': 'baseball, basketball, curling stone, hockey puck, volleyball, thumbs up, bell, bomb, blue diamond, red diamond, gold coin, bank',
  'Beings and ideas': 'abstract, black hole, brain, DNA, ghost, gnome, jupiter, lips, saturn, skeleton hat, speech bubble, sparkling star, undead, void',
};
const OTHERS = 'Others';

/** Name of a class -> other words for it. @type {Record<string, string>} */
const WORDS = {
  'airplane': 'plane, jet', 'ape': 'monkey, gorilla, chimpanzee', 'orangutan': 'monkey, ape', 'backpack': 'rucksack, bag', 'bag': 'sack, purse',
  'bagpipe': 'music, scotland', 'bank': 'money, temple', 'baseball': 'ball, sport', 'basketball': 'ball, sport', 'volleyball': 'ball, sport',
  'beanie': 'cap, hat, bobble', 'hard hat': 'helmet, builder', 'chef\'s hat': 'cook, toque', 'wizard\'s hat': 'witch, magic',
  'skeleton hat': 'skull', 'crown': 'king', 'queen\'s crown': 'royal', 'beer': 'drink, glass', 'beet': 'vegetable, radish', 'beluga': 'whale',
  'bell': 'ring', 'bigfoot': 'sasquatch, monster', 'yeti': 'snow monster', 'bird': 'sparrow', 'black hole': 'space', 'blueberry': 'fruit, berry',
  'bomb': 'explosive', 'bonsai': 'tree', 'book': 'novel, page', 'boombox': 'radio, music, stereo', 'boot': 'shoe', 'high heel': 'shoe',
  'boxing glove': 'sport, fist', 'brain': 'mind', 'speech bubble': 'talk, chat, comic', 'bubble gum': 'sweets, chewing gum', 'burger': 'hamburger, sandwich',
  'cake': 'birthday, sweets', 'calculator': 'maths, numbers', 'calendar': 'date', 'camcorder': 'camera, video', 'rangefinder': 'camera, photo',
  'canned ham': 'tin, meat', 'capybara': 'rodent', 'car': 'auto, vehicle', 'taxi': 'cab, car', 'cash register': 'till, shop', 'cassette tape': 'music, tape',
  'cat': 'kitten, pet', 'dog': 'puppy, pet', 'chain': 'link', 'chainsaw': 'tool', 'chameleon': 'lizard, reptile', 'bar chart': 'graph, statistics',
  'cheese': 'dairy', 'cherry': 'fruit', 'chicken': 'hen, bird', 'chilli': 'pepper, hot', 'computer chip': 'processor, cpu', 'chips': 'crisps, snack',
  'chocolate': 'sweets', 'clock': 'time, watch', 'watch': 'time, clock', 'cloud': 'sky, weather', 'clover': 'luck, leaf', 'clutch': 'handbag, purse', 'crocodile hat': 'alligator, reptile', 'sparkling star': 'night, glitter', 'ski lift': 'gondola, mountain', 'coffee bean': 'espresso',
  'compact disc': 'cd, music', 'cone': 'traffic', 'handheld console': 'game', 'cookie': 'biscuit', 'cordless phone': 'telephone',
  'cotton candy': 'candyfloss, sweets', 'couch': 'sofa', 'cow': 'cattle, bull', 'crane': 'bird', 'monitor': 'screen, display, computer',
  'crystal ball': 'fortune, magic', 'curling stone': 'sport, ice', 'blue diamond': 'gem, jewel', 'red diamond': 'gem, jewel, ruby', 'dictionary': 'book, words',
  'dinosaur': 't-rex, reptile', 'DNA': 'gene, helix', 'doughnut': 'donut, sweets', 'drill': 'tool', 'rubber duck': 'bath, toy', 'earth': 'world, planet, globe',
  'egg': 'food', 'jewelled egg': 'faberge', 'factory': 'industry', 'fan': 'wind', 'fax machine': 'office', 'fence': 'garden', 'film roll': 'photo, camera',
  'film strip': 'cinema, movie', 'fir tree': 'christmas, pine', 'fire hydrant': 'water', 'flamingo': 'pink bird', 'flower': 'blossom, daisy', 'frog': 'toad',
  'gavel': 'hammer, judge', 'ghost': 'spirit, spook', 'big glasses': 'spectacles', 'gnome': 'dwarf', 'gold coin': 'money', 'goldfish': 'fish',
  'green snake': 'serpent, reptile', 'grouper': 'fish', 'hair': 'wig', 'hanger': 'coat', 'heart': 'love', 'helicopter': 'chopper, aircraft', 'hockey puck': 'sport, ice',
  'horse': 'pony', 'hot dog': 'sausage', 'house': 'home, building', 'ice pop': 'popsicle, ice cream, lolly', 'igloo': 'snow house', 'index card': 'note',
  'island': 'palm, beach', 'jellyfish': 'sea', 'jupiter': 'planet', 'saturn': 'planet, rings', 'moon': 'night, crescent', 'ketchup': 'tomato, sauce',
  'laptop': 'computer, notebook', 'lightning bolt': 'thunder, flash', 'lint': 'fluff', 'lips': 'mouth, kiss', 'lipstick': 'make-up', 'lock': 'padlock',
  'macaroni': 'pasta', 'spaghetti': 'pasta', 'noodles': 'ramen, pasta', 'mailbox': 'post, letter', 'maze': 'labyrinth', 'microwave': 'oven', 'mixer': 'blender',
  'moose': 'elk, deer', 'mosquito': 'insect, fly', 'mountain': 'alps, peak', 'mouse': 'rodent', 'mug': 'cup, coffee', 'mushroom': 'toadstool, fungus',
  'mustard': 'sauce', 'nigiri': 'sushi', 'orca': 'killer whale', 'otter': 'sea', 'outlet': 'socket, plug', 'oyster': 'pearl, shell', 'paintbrush': 'art',
  'panda': 'bear', 'pencil': 'pen, write', 'peyote': 'cactus', 'saguaro': 'cactus', 'piano': 'keys, music', 'pickle': 'gherkin, cucumber', 'piggy bank': 'savings, money',
  'pill': 'medicine, tablet', 'pillow': 'cushion', 'pipe': 'smoke', 'pirate ship': 'boat', 'sailboat': 'ship, yacht', 'plane': 'airplane, jet', 'soda': 'cola, drink, can',
  'pork bun': 'bao', 'potato': 'vegetable', 'pufferfish': 'fish, blowfish', 'pumpkin': 'halloween', 'rabbit': 'bunny, hare', 'rainbow': 'colours', 'raven': 'crow, bird',
  'retainer': 'braces, teeth', 'ring': 'jewel', 'road': 'street', 'robot': 'machine', 'rock': 'stone', 'rose bud': 'flower', 'wall safe': 'vault',
  'sand castle': 'beach', 'satellite': 'space', 'saw': 'tool', 'shower': 'bath', 'shrimp tempura': 'prawn, sushi', 'smile': 'face, happy', 'snow globe': 'winter',
  'snowman': 'winter', 'snowmobile': 'winter', 'squid': 'octopus, sea', 'steak': 'meat, beef', 'sunset': 'sun, evening', 'taco': 'mexican', 'thumbs up': 'hand, like',
  'tiger': 'big cat', 'toilet paper': 'roll', 'tooth': 'dentist, molar', 'tornado': 'storm, twister', 'trash can': 'bin, rubbish', 'treasure chest': 'pirate, gold',
  'tuba': 'music, horn, brass', 'UFO': 'alien, spaceship, flying saucer', 'undead': 'zombie', 'vending machine': 'drinks', 'void': 'nothing, dark', 'volcano': 'lava, eruption',
  'wallet': 'purse, money', 'washing machine': 'laundry', 'watermelon': 'melon, fruit', 'banana': 'fruit', 'pineapple': 'fruit, ananas', 'wave': 'sea, surf', 'weed': 'hemp, leaf',
  'weight': 'dumbbell, gym', 'werewolf': 'wolf, monster', 'whale': 'sea', 'wine': 'drink, glass', 'wine barrel': 'cask', 'zebra': 'stripes', 'bat': 'vampire', 'duck': 'drake, bird',
  'owl': 'bird', 'fox': 'vixen', 'pizza': 'italian', 'unicorn': 'horn, magic', 'turing': 'computer pioneer',
};

/** @param {string} text */
const listOf = (text) => text.split(', ');

/** @param {string} name of a class @returns {string[]} */
export const wordsFor = (name) => (Object.hasOwn(WORDS, name) ? listOf(WORDS[name]) : []);

/**
 * The classes in groups; with names that nobody knows here, all of them in one.
 * @param {ReadonlyArray<string>} labels
 * @returns {Array<{ title: string, members: number[] }>} none of them empty
 */
export function groupsOf(labels) {
  const rest = new Set(labels.keys());
  const groups = Object.entries(GROUPS).map(([title, names]) => {
    const members = listOf(names).map((name) => labels.indexOf(name)).filter((label) => rest.delete(label));
    return { title, members };
  });
  return [...groups, { title: OTHERS, members: [...rest] }].filter(({ members }) => members.length > 0);
}
