import Link from 'next/link';
import { Picture } from './picture';

export default function Page() {
  return <main><h1>A cat</h1><Picture label="cat" /><Link href="/dog">A dog</Link></main>;
}
